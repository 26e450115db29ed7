#!/bin/sh
# Install the Debian packages that `make run` or `make test` needs and this machine lacks; where that may not be done,
# say which they are and go on. Usage: infra/system.sh PYTHON run|test
set -u
python=$1
missing=

need() { # PACKAGE COMMAND...: the package is missing unless the command succeeds
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

need python3 "$python" --version
need python3-venv "$python" -c 'import ensurepip, venv'
if [ "$2" = test ]; then
    need systemd sh -c 'command -v systemd-analyze'
    need postgresql sh -c 'ls /usr/lib/postgresql/*/bin/postgres'
    # shellcheck disable=SC2016
    need slurm-wlm sh -c 'PATH=$PATH:/usr/sbin command -v slurmctld && command -v sbatch'
    need cdo sh -c 'command -v cdo'
    need gdal-bin sh -c 'command -v gdalinfo'
    need netcdf-bin sh -c 'command -v ncdump'
    need chromium sh -c 'command -v chromium'
    need fonts-noto-cjk sh -c 'ls /usr/share/fonts/opentype/noto/NotoSansCJK*'
    need build-essential sh -c 'command -v gcc && command -v g++'
    need python3-dev "$python" -c 'import pathlib, sysconfig; assert pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()'
fi
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing from Debian:$missing"
    # shellcheck disable=SC2086
    apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >/dev/null
else
    echo "missing here:$missing. What needs them is not tried; as root: apt-get install$missing" >&2
fi
