#!/bin/sh
# Save Prefect's database: infra/backup.sh FOLDER. It may run beside a working server; one dump is one moment.
#
# The database is what PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD (or PGPASSFILE) say. KEEP, by default 14, is
# how many dumps stay. What is published is not in here: it lies in the store, and is sealed.
set -eu
umask 077
folder=${1:?usage: backup.sh FOLDER}
keep=${KEEP:-14}
name=prefect-$(date -u +%Y%m%dT%H%M%SZ).dump
trap 'rm -f "$folder/.$name"' EXIT

pg_dump --format=custom --file="$folder/.$name"
pg_restore --list "$folder/.$name" >/dev/null # readable to its end
mv "$folder/.$name" "$folder/$name"
echo "$folder/$name: $(wc -c <"$folder/$name") bytes"

# The names sort by time.
set -- "$folder"/prefect-*.dump
while [ $# -gt "$keep" ]; do
    rm "$1"
    shift
done
