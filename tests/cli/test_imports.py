"""What each verb imports: `--help` of any verb nothing that is heavy, a verb that only looks no more than it reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from stormcast_tw.publication import pointers
from stormcast_tw.storage.artifact import Address
from stormcast_tw.storage.store import Store
from tests.cli.conftest import plan_without_package
from tests.conftest import CYCLE, NOW

HEAVY = (
    *("torch", "torchvision", "physicsnemo", "prefect", "warp"),
    *("xarray", "pandas", "scipy", "dask", "distributed", "zarr", "numcodecs"),
    *("s3fs", "aiohttp", "aiobotocore", "botocore", "netCDF4", "h5py", "h5netcdf", "eccodes", "pyproj"),
    *("cryptography", "matplotlib", "httpx", "stormcast_tw.simulation"),
)
LIGHT = ("numpy", "fsspec", "pydantic_settings", "safetensors")
"""What a verb that looks may import, but `--help` not."""
SCRIPT = """
import json, sys
from typer.main import get_command
from typer.testing import CliRunner
from stormcast_tw.cli.__main__ import app
watched, looks = json.loads(sys.argv[1])

def leaves(command, path=()):
    yield list(path)
    for name in getattr(command, "commands", {}):
        yield from leaves(command.commands[name], (*path, name))

def imported():
    return [name for name in watched if name in sys.modules]

found = {}
for arguments in [[*path, "--help"] for path in leaves(get_command(app))] + looks:
    result = CliRunner().invoke(app, arguments)
    found[" ".join(arguments)] = (result.exit_code, imported())
print(json.dumps(found))
"""


def test_what_each_verb_imports(small_package_folder: Path, tmp_path: Path):
    store = Store(str(tmp_path / "published"))
    address = Address(kind="published", experiment="demo", cycle=str(CYCLE), run="a" * 12)
    draft = store.begin(address, plan_without_package())
    draft.put("products.nc", b"products")
    pointers.point_at(store, draft.seal(grid={}, variables=(), parents=(), simulated=True, trained=False, now=NOW))
    looks = [["package", "show"], ["catalogue"], ["catalogue", "latest"], ["inputs", "--cycle", str(CYCLE)]]
    looks += [["watch"], ["watch", "--prometheus"], ["prune", "--dry-run"]]
    codes = {"inputs": 4, "watch": 1}  # nothing is there; published in June
    roots = {f"STORMCAST_TW_{name}_ROOT": str(tmp_path / name.lower()) for name in ("INPUTS", "WORK", "PUBLISHED")}
    environment = os.environ | roots | {"STORMCAST_TW_PACKAGE": str(small_package_folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([[*HEAVY, *LIGHT], looks])],
        env=environment, capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert len(found) > 20
    for verb, (exit_code, imported) in found.items():
        if verb.endswith("--help"):
            assert (verb, exit_code, imported) == (verb, 0, [])
        else:
            assert (verb, exit_code) == (verb, codes.get(verb.split()[0], 0))
            assert (verb, [name for name in imported if name not in LIGHT]) == (verb, [])
