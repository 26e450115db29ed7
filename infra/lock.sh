#!/bin/sh
# Write the locks anew from pyproject.toml: what `make run` installs, then what tests and documentation need besides.
# Needs uv. `--upgrade` takes the newest releases; otherwise the locked ones stay where they fit.
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile pyproject.toml --quiet --python-version 3.11 --no-emit-index-url --no-header --no-annotate "$@"
}
compile --extra training --extra verification --extra exports -o requirements.lock "$@"
sed 's/ .*//' requirements-dev.lock >requirements-all.lock # the releases that were locked stay where they fit
compile --extra dev -c requirements.lock -o requirements-all.lock "$@"
grep -vxF -f requirements.lock requirements-all.lock | grep -v '^stormcast-tw' >requirements-dev.lock
rm requirements-all.lock
! grep -n '://' requirements*.lock
