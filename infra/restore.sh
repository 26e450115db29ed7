#!/bin/sh
# Bring a dump of backup.sh back: infra/restore.sh DUMP, into an EMPTY database; one with tables is refused.
#
#   1. stop workers, then the server
#   2. put the old database aside, make a new one:
#        psql --dbname=postgres --command='ALTER DATABASE prefect RENAME TO prefect_before' && createdb prefect
#   3. infra/restore.sh DUMP            all of it or nothing
#   4. start the server: a newer release brings the tables up to date itself; deploy again; start the workers
#   5. runs that were `Running` at the moment of the dump are not: cancel them on the page
#
# The database is what PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD (or PGPASSFILE) say.
set -eu
dump=${1:?usage: restore.sh DUMP}
database=${PGDATABASE:?names no database}

tables=$(psql --no-psqlrc --tuples-only --no-align \
    --command="SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
if [ "$tables" -ne 0 ]; then
    echo "database $database has $tables tables; allowed 0: put it aside first" >&2
    exit 1
fi
pg_restore --exit-on-error --single-transaction --no-owner --no-privileges --dbname="$database" "$dump"
echo "$database: restored from $dump"
