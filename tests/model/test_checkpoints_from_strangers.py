"""Checkpoints of other tools that a stranger made: none is unpacked, none runs, each is refused in one line."""

from __future__ import annotations

import io
import pickle
import re
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stormcast_tw.errors import BadPackage
from stormcast_tw.model import exchange
from stormcast_tw.model.exchange import export_mdlus, import_mdlus
from stormcast_tw.model.package import ModelPackage
from tests.model.test_exchange import Evil, replace_member

Attack = Callable[[Path], None]


@pytest.fixture(scope="module")
def exported(small_package: ModelPackage, small_package_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mdlus")
    export_mdlus(small_package, small_package_folder, folder)
    return folder


def member(name: str, data: bytes) -> Attack:
    return lambda folder: replace_member(folder / "diffusion.mdlus", name, data)


def stored(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def cut(folder: Path) -> None:
    path = folder / "diffusion.mdlus"
    path.write_bytes(path.read_bytes()[:-2000])


def changed(change: Callable[[OrderedDict[str, Any]], Any]) -> Attack:
    def attack(folder: Path) -> None:
        with zipfile.ZipFile(folder / "diffusion.mdlus") as archive:
            weights = torch.load(io.BytesIO(archive.read("model.pt")), weights_only=True)
        change(weights)
        member("model.pt", stored(weights))(folder)

    return attack


FIRST = "model.model.enc.16x16_conv.weight"
NO_CHECKPOINT = "is not a physicsnemo checkpoint that can be loaded weights-only"
CHECKPOINTS: dict[str, tuple[Attack, str]] = {
    "bytes": (lambda folder: (folder / "diffusion.mdlus").write_bytes(b"PK" + b"\0" * 99) and None, NO_CHECKPOINT),
    "cut off": (cut, NO_CHECKPOINT),
    "a pickle": (member("model.pt", pickle.dumps(Evil(), protocol=2)), NO_CHECKPOINT),
    "a pickle in a zip": (
        member("model.pt", zipped({"x/data.pkl": pickle.dumps(Evil()), "x/version": b"3"})),
        NO_CHECKPOINT,
    ),
    "a list": (member("model.pt", stored([1, 2])), f"{NO_CHECKPOINT}: .*holds a list"),
    "no arguments": (member("args.json", b"{}"), NO_CHECKPOINT),
    "arguments that are no JSON": (member("args.json", b"\xff\xfe"), NO_CHECKPOINT),
    "arguments nested": (member("args.json", b"[" * 200_000), NO_CHECKPOINT),
    "arguments of 2 MB": (
        member("args.json", b" " * 2_000_000),
        "args.json .* to 2,000,000 bytes; allowed are 1,048,576",
    ),
    "another class": (member("args.json", b'{"__name__": "Evil"}'), "holds a Evil, the diffusion network is a EDM"),
    "a zip bomb": (
        member("model.pt", b"\0" * 3_000_000),
        r"all members .* to 3,[\d,]{7} bytes; allowed are 1,[\d,]{7}",
    ),
    "a zip bomb inside": (
        member("model.pt", zipped({str(n): b"\0" * 900_000 for n in range(3)})),
        r"model.pt: all members .* to 2,700,000 bytes; allowed are 1,[\d,]{7}",
    ),
    "many members": (
        member("model.pt", zipped({str(n): b"" for n in range(5000)})),
        "5,000 members; allowed are 4,096",
    ),
    "NaN": (
        changed(lambda w: w[FIRST].view(-1)[:3].fill_(float("nan"))),
        f"{FIRST}: 3 of .* not finite; allowed are 0",
    ),
    "float64": (changed(lambda w: w.update({FIRST: w[FIRST].double()})), f"{FIRST} is torch.float64; allowed is F32"),
    "a tensor of one stored number": (
        changed(lambda w: w.update(more=torch.zeros(1).expand(10**12))),
        r"[\d,]+ numbers; allowed are [\d,]+",
    ),
    "no tensor": (changed(lambda w: w.update({FIRST: "text"})), f"'{FIRST}' is a str; allowed are dense tensors"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_refused(name: str, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange, "_MORE_BYTES", 500_000)
    monkeypatch.chdir(tmp_path)
    attack, message = CHECKPOINTS[name]
    folder = Path(shutil.copytree(exported, tmp_path / "mdlus"))
    attack(folder)
    with pytest.raises(BadPackage) as refusal:
        import_mdlus(folder)
    text = str(refusal.value)
    assert text.startswith(f"{folder / 'diffusion.mdlus'}: ")
    assert re.search(message, text), text
    assert not (tmp_path / "owned").exists()
