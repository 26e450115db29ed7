"""Packages that a stranger made: each is refused in one line with file, field, number found and number allowed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from stormcast_tw.errors import BadPackage
from stormcast_tw.grid import Grid
from stormcast_tw.model import package as packages
from stormcast_tw.model.untrained import untrained_package
from stormcast_tw.simulation.invariants import simulated_invariants

DEMO = Path(__file__).parents[2] / "packages" / "demo"
TINY = Grid("TINY", 23.0, 23.5, 16, 120.5, 121.0, 16)
Attack = Callable[[Path], None]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    packages.save(untrained_package(TINY, simulated_invariants(TINY)), folder)
    return folder


def told(field: str, value: Any) -> Attack:
    """Write a value into package.json; `field` is a path of keys and indices."""

    def attack(folder: Path) -> None:
        path = folder / "package.json"
        whole = json.loads(path.read_text())
        *above, last = (int(key) if key.isdigit() else key for key in field.split("/"))
        place = whole
        for key in above:
            place = place[key]
        place[last] = value
        path.write_text(json.dumps(whole))

    return attack


def tensors(file: str, change: Callable[[dict[str, torch.Tensor]], Any]) -> Attack:
    """Change the tensors of a file, and give package.json its new sha256."""

    def attack(folder: Path) -> None:
        path = folder / file
        found = load_file(path)
        change(found)
        save_file(found, path)
        rehash(folder, file)

    return attack


def rehash(folder: Path, file: str) -> None:
    told(f"files/{file}", hashlib.sha256((folder / file).read_bytes()).hexdigest())(folder)


def bytes_of(file: str, data: bytes) -> Attack:
    def attack(folder: Path) -> None:
        (folder / file).write_bytes(data)
        if file != "package.json":
            rehash(folder, file)

    return attack


def sparse(file: str, size: int) -> Attack:
    def attack(folder: Path) -> None:
        os.truncate(folder / file, size)

    return attack


def fifo(folder: Path) -> None:
    (folder / "diffusion.safetensors").unlink()
    os.mkfifo(folder / "diffusion.safetensors")


def spoilt(name: str, value: float, count: int = 1) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(found: dict[str, torch.Tensor]) -> None:
        found[name].view(-1)[:count] = value

    return change


def retyped(name: str, dtype: torch.dtype) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda found: found.update({name: found[name].to(dtype)})


WEIGHT = "enc.8x8_conv.weight"
REGRESSION, INVARIANTS = "regression.safetensors", "invariants.safetensors"
SIZE = "networks/0/architecture"
NAN, INF = float("nan"), float("inf")
LARGE = {"model_channels": 1024, "channel_mult": [16, 16], "num_blocks": 16}

# name: field, value, what the message says of field, number found and number allowed
DESCRIPTIONS: dict[str, tuple[str, Any, str]] = {
    "model_channels 100000": (f"{SIZE}/model_channels", 100_000, "model_channels: .* 1024; found 100000"),
    "model_channels 18": (f"{SIZE}/model_channels", 18, "model_channels: .*multiple of 4; found 18"),
    "model_channels 132": (f"{SIZE}/model_channels", 132, "132 channels; allowed are multiples of 32"),
    "num_blocks 1e6": (f"{SIZE}/num_blocks", 10**6, "num_blocks: .* 16; found 1000000"),
    "channel_mult huge": (f"{SIZE}/channel_mult/1", 10**9, "channel_mult.1: .* 16; found 1000000000"),
    "channel_mult empty": (f"{SIZE}/channel_mult", [], "channel_mult: .*at least 1 item"),
    "channel_mult long": (f"{SIZE}/channel_mult", [1] * 40, "channel_mult: .*at most 8 items"),
    "attention everywhere": (f"{SIZE}/attn_resolutions", [0], "attn_resolutions.0: .* 1; found 0"),
    "dropout 1": (f"{SIZE}/dropout", 1.0, "dropout: .*less than 1; found 1.0"),
    "too many parameters": (SIZE, LARGE, r"regression: [\d,]+ parameters; allowed are 500,000,000"),
    "grid not halved": ("grid/y/2", 20, r"\(20, 16\) points; allowed are multiples of 8"),
    "grid of 1e9 points": ("grid/y/2", 10**9, "grid: .*y.2: .* 4096; found 1000000000"),
    "grid NaN": ("grid/y/0", NAN, "grid: .*y.0: .*finite number; found nan"),
    "grid of huge numbers": ("grid/x/1", 10**25, r"grid: .*x.1: .*100000000; found 10{25} "),
    "grid beyond the pole": ("grid/y/1", 95.0, "latitudes 23 to 95 .*allowed are -90 to 90"),
    "grid of a file": ("grid/projection", {"nadgrids": "/etc/passwd"}, "projection.nadgrids"),
    "grid of no projection": ("grid/projection", {"proj": "nonsense"}, "grid: .*projection .*nonsense"),
    "std 1e-300": ("state/t2m/std", 1e-300, "state.t2m.std 1e-300: allowed are 0.00011 to 110"),
    "std 0": ("background/msl/std", 0.0, "background.msl.std: .*greater than 0; found 0"),
    "std Inf": ("state/u10m/std", INF, "state.u10m.std: .*finite number; found inf"),
    "tendency_std 1e30": ("state/t2m/tendency_std", 1e30, "tendency_std 1e.30: allowed are .* to 110"),
    "residual_std 1e6": ("state/tp01/residual_std", 1e6, r"tp01.residual_std 1e.06: allowed are .* to 5\.7"),
    "mean NaN": ("state/v10m/mean", NAN, "state.v10m.mean: .*finite number; found nan"),
    "mean in Celsius": ("state/t2m/mean", 23.0, "state.t2m.mean 23: allowed are 220 to 330"),
    "invariant's std": ("invariants/orog/std", 1e9, "invariants.orog.std 1e.09: allowed are .* to 4100"),
    "gain 1e9": ("state/t2m/gain", [1e9] * 6, "gain.0: .* 100; found 1000000000.0"),
    "waves 1e30": (
        "state/t2m/widest_waves",
        {"std": [1e30] * 16, "persistence": [0.0] * 16},
        "widest_waves.std.0: .* 10000; found 1e.30",
    ),
    "sigma_max 1e308": ("sampler/sigma_max", 1e308, "sampler.sigma_max: .* 10000; found 1e.308"),
    "sigma_min 1e-300": ("sampler/sigma_min", 1e-300, "sigma_min: .* 0.000001; found 1e-300"),
    "rho 1e-9": ("sampler/rho", 1e-9, "sampler.rho: .* 1; found 1e-09"),
    "steps 1e9": ("sampler/steps", 10**9, "sampler.steps: .* 256; found 1000000000"),
    "a billion members": ("members", 10**9, "members: .* 1024; found 1000000000"),
    "a billion at once": ("members_per_batch", 10**9, "members_per_batch: .* 1024; found 1000000000"),
    "detail_widths wide": ("detail_widths", [10**9 + 1], "detail_widths.0: .* 1023; found 1000000001"),
    "detail_widths many": ("detail_widths", list(range(3, 1003, 2)), "detail_widths: .*at most 8 items"),
    "shapiro_order 1e9": ("shapiro_order", 10**9, "shapiro_order: .* 8; found 1000000000"),
    "one role twice": ("networks/1/role", "regression", "networks: .*allowed is one of each role"),
    "one file twice": ("networks/1/file", REGRESSION, "networks: .*a file of its own"),
    "name with an escape": ("name", "demo\x1b[2J", r"name: .*'demo\\x1b\[2J': allowed"),
    "summary with an escape": ("summary", "\x1b]0;owned\x07", r"summary: .*'\\x1b' cannot be printed"),
    "summary from right to left": ("summary", "a\u202eb", r"summary: .*'\\u202e' cannot be printed"),
    "summary of a megabyte": ("summary", "x" * 500_000, "summary: .*at most 1000 characters; found 'x"),
    "licence of two lines": ("licence", "MIT\nroot", r"licence: .*'\\n' cannot be printed"),
    "version with an escape": ("version", "1\x9b31m", r"version: .*allowed: letters, digits"),
    "provenance with an escape": ("provenance", {"seed": "\x1b[31m"}, "provenance.seed: .*cannot be printed"),
    "provenance's key": ("provenance", {"\x1b[31m": "0"}, r"provenance\.\\x1b\[31m"),
    "provenance long": ("provenance", {str(n): "" for n in range(999)}, "provenance: .*at most 256 items"),
    "an unknown key": ("a\x1b[31m", 1, r"a\\x1b\[31m: Extra inputs are not permitted; found 1"),
    "sha256 that is none": ("files/x.safetensors", "../", "files.x.safetensors: .*64 hexadecimal digits"),
}

# name: attack, file, what the message says
FILES: dict[str, tuple[Attack, str, str]] = {
    "weights NaN": (
        tensors(REGRESSION, spoilt(WEIGHT, NAN)),
        REGRESSION,
        rf"{WEIGHT}: 1 of .* not finite; allowed are 0",
    ),
    "weights Inf": (tensors(REGRESSION, spoilt(WEIGHT, -INF, 7)), REGRESSION, rf"{WEIGHT}: 7 of .* not finite"),
    "weights float64": (
        tensors(REGRESSION, retyped(WEIGHT, torch.float64)),
        REGRESSION,
        f"{WEIGHT} is F64; allowed is F32",
    ),
    "weights bfloat16": (tensors(REGRESSION, retyped(WEIGHT, torch.bfloat16)), REGRESSION, "is BF16; allowed is F32"),
    "weights int32": (tensors(REGRESSION, retyped(WEIGHT, torch.int32)), REGRESSION, "is I32; allowed is F32"),
    "weights of one more tensor": (
        tensors(REGRESSION, lambda found: found.update(more=torch.zeros(5))),
        REGRESSION,
        "numbers; allowed are",
    ),
    "weights of an empty tensor more": (
        tensors(REGRESSION, lambda found: found.update(more=torch.zeros(0))),
        REGRESSION,
        "more is .0,.; allowed is no such",
    ),
    "weights under another name": (
        tensors(REGRESSION, lambda found: found.update(other=found.pop(WEIGHT))),
        REGRESSION,
        f"{WEIGHT} is missing; allowed",
    ),
    "weights transposed": (
        tensors(REGRESSION, lambda found: found.update({WEIGHT: found[WEIGHT].transpose(0, 1).contiguous()})),
        REGRESSION,
        f"{WEIGHT} is .*; allowed is",
    ),
    "weights that are none": (bytes_of(REGRESSION, b"\0" * 64), REGRESSION, "is not a whole safetensors file"),
    "weights cut off": (
        bytes_of(REGRESSION, (20).to_bytes(8, "little") + b"{}"),
        REGRESSION,
        "is not a whole safetensors",
    ),
    "weights of 3 GB": (sparse(REGRESSION, 3 * 10**9), REGRESSION, r"3,000,000,000 bytes; allowed are 2,[\d,]{7}$"),
    "weights that are a pipe": (fifo, "diffusion.safetensors", "is not a regular file"),
    "description of 2 MB": (
        sparse("package.json", 2_000_000),
        "package.json",
        "2,000,000 bytes; allowed are 1,048,576",
    ),
    "description nested": (bytes_of("package.json", b"[" * 100_000), "package.json", "recursion limit"),
    "another size than the file": (
        told(f"{SIZE}/model_channels", 32),
        REGRESSION,
        r"do not fit the regression network: [\d,]+ numbers; allowed are [\d,]+",
    ),
    "too much memory": (
        lambda folder: (
            told("grid/y/2", 2048)(folder),
            told("grid/x/2", 2048)(folder),
            told("members_per_batch", 64)(folder),
            None,
        )[-1],
        "package.json",
        "64 members_per_batch need about .* GiB of memory; allowed are 128",
    ),
    "grid of 16 million points": (
        lambda folder: (told("grid/y/2", 4096)(folder), told("grid/x/2", 4096)(folder), None)[-1],
        "package.json",
        "4096 x 4096 points; allowed are 4,194,304",
    ),
    "orography NaN": (
        tensors(INVARIANTS, spoilt("orog", NAN, 256)),
        INVARIANTS,
        "orog: 256 of 256 values are not finite",
    ),
    "orography in feet": (
        tensors(INVARIANTS, spoilt("orog", 9999)),
        INVARIANTS,
        "orog is .* to 9999 m; allowed are -100 to 4000",
    ),
    "land mask of 2": (tensors(INVARIANTS, spoilt("lsm", 2)), INVARIANTS, "lsm is .* to 2 1; allowed are 0 to 1"),
    "coverage below 0": (
        tensors(INVARIANTS, spoilt("coverage", -1)),
        INVARIANTS,
        "coverage is -1 to .*; allowed are 0 to 1",
    ),
    "invariants float16": (
        tensors(INVARIANTS, retyped("lsm", torch.float16)),
        INVARIANTS,
        "lsm is F16; allowed is F32",
    ),
    "invariants of a gigabyte": (sparse(INVARIANTS, 10**9), INVARIANTS, "1,000,000,000 bytes; allowed are 1,051,648"),
}
ATTACKS = {name: (told(field, value), "package.json", text) for name, (field, value, text) in DESCRIPTIONS.items()}
ATTACKS |= FILES


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name: str, tiny: Path, tmp_path: Path):
    attack, file, message = ATTACKS[name]
    folder = Path(shutil.copytree(tiny, tmp_path / "package"))
    attack(folder)
    with pytest.raises(BadPackage) as refusal:
        packages.load(folder)
    text = str(refusal.value)
    assert text.startswith(f"{folder / file}: ")
    assert re.search(message, text), text
    assert text.isprintable()
    assert len(text) < 1500


def test_the_package_that_ships_keeps_its_digest():
    package = packages.load(DEMO)
    assert package.digest in (DEMO / "README.md").read_text()
