"""No name leads out of the folder it belongs to: the usual attacks on everything that becomes part of a path."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from stormcast_tw.cli.__main__ import run as main
from stormcast_tw.errors import BadPackage, Refused
from stormcast_tw.flows.backfill import backfill
from stormcast_tw.flows.operations import operations
from stormcast_tw.flows.verification import verification
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.description import read_description
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.names import ExperimentName, KindName, PackageName, RunId, WeightsFile, is_operational, leads_out
from stormcast_tw.plan import CycleText
from stormcast_tw.storage.artifact import Address
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.provider_files import Folder
from tests.conftest import CYCLE, NOW
from tests.servers import S3Server

ATTACKS = (
    "", " ", ".", "..", "...", "../x", "../../../x", "demo/../oper", "demo/..", "/etc/passwd", "//server/share", "~",
    "~root", "demo/x", "demo\\..\\oper", "C:\\x", "oper ", " oper", "oper\n", "oper\r\n", "\toper", "oper\0",
    "op\u200ber",
    "ＯＰＥＲ", "оper", "OPER", "Demo", "demo;rm -rf x", "$(id)", "`id`", "demo|x", "demo*", "demo?", "%2e%2e%2f",
    "..%2f", "-rf", "_x", "x" * 33, "x" * 300, "{0}", "демо", "demo\x1b[31m",
)  # fmt: skip
FIELDS = {
    "experiment": ExperimentName,
    "kind": KindName,
    "run": RunId,
    "weights file": WeightsFile,
    "package name": PackageName,
    "cycle": CycleText,
}
LEAD_OUT = ("..", "../x", "a/../../x", "/etc/passwd", "//server/share", "a/..", "..\\x", "\\x/../y", "a\0b")


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
def test_no_field_takes_an_attack(attack: str):
    for what, kind in FIELDS.items():
        if what == "package name" and attack == "x" * 33:
            continue
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(attack)
    for field in ("kind", "experiment", "cycle", "run"):
        sound = {"kind": "published", "experiment": "demo", "cycle": str(CYCLE), "run": "0123456789ab"}
        with pytest.raises(ValidationError):
            Address(**sound | {field: attack})


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
def test_no_flow_takes_an_attack_nor_does_its_form(attack: str):
    """Prefect checks a run's parameters by the schema when it is created, and by pydantic when it begins."""
    jsonschema = pytest.importorskip("jsonschema")
    for flow, more in ((operations, {}), (verification, {}), (backfill, {"start": str(CYCLE), "end": str(CYCLE)})):
        with pytest.raises(Exception, match="experiment"):
            flow.validate_parameters({**more, "experiment": attack})
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**more, "experiment": attack}, flow.parameters.model_dump())


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if "\0" not in attack], ids=repr)
def test_no_verb_takes_an_attack(
    attack: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    span = ["--start", str(CYCLE), "--end", str(CYCLE)]
    for verb in (["forecast"], ["backfill", *span], ["catalogue"], ["verify", "run", *span]):
        monkeypatch.setattr(sys, "argv", ["stormcast-tw", *verb, f"--experiment={attack}"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert "allowed" in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_request_checks_its_experiment(small_package: ModelPackage, small_package_folder: Path):
    described = small_package.description
    for attack in ATTACKS:
        with pytest.raises(ValueError, match="experiment"):
            Request(CYCLE, 1, attack, small_package_folder, described, NOW)
    with pytest.raises(Refused, match=r"experiment oper: package demo .* is untrained"):
        Request(CYCLE, 1, "oper", small_package_folder, described, NOW)


def test_oper_is_oper_however_it_is_written():
    assert all(map(is_operational, ("oper", "oper ", "oper\n", " OPER", "ｏｐｅｒ")))
    assert not any(map(is_operational, ("demo", "opera", "оper")))


@pytest.mark.parametrize("path", LEAD_OUT, ids=repr)
def test_a_path_is_checked_when_it_is_joined(path: str, tmp_path: Path):
    assert leads_out(path)
    (tmp_path / "x").write_text("outside")
    root = objects(str(tmp_path / "root"))
    root.replace("inside", b"1")
    for touch in (
        root.read,
        root.exists,
        root.remove,
        root.files,
        lambda p: root.create(p, b"2"),
        lambda p: root.replace(p, b"2"),
        lambda p: root.swap(p, None, b"2"),
    ):
        with pytest.raises(Refused, match="leads out of it"):
            touch(path)
    folder = Folder(str(tmp_path / "root"))
    for look in (folder.find, folder.names):
        with pytest.raises(Refused, match="leads out of it"):
            look(path)
    assert (tmp_path / "x").read_text() == "outside"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["inside", "root", "x"]


def test_a_key_is_checked_when_it_is_joined(s3: S3Server):
    root = objects(s3.bucket())
    for path in LEAD_OUT:
        for touch in (root.read, root.exists, root.remove, root.files, lambda p: root.create(p, b"2")):
            with pytest.raises(Refused, match="leads out of it"):
                touch(path)


def test_what_is_a_name_stays_one():
    assert not any(map(leads_out, ("", "a", "a/b.c", "wrfout_d02_2026-06-11_06:00:00", "a/...", "..a", "c:")))
    for name in ("demo", "oper", "a", "rehearsal-2", "x" * 32):
        assert TypeAdapter(ExperimentName).validate_python(name) == name


@pytest.mark.parametrize(
    "attack", ["/etc/passwd", "../regression.safetensors", "x.safetensors\n", "x.pt", ""], ids=repr
)
@pytest.mark.parametrize("field", ["file", "name"])
def test_no_package_takes_an_attack(attack: str, field: str, small_package_folder: Path, tmp_path: Path):
    folder = tmp_path / "package"
    shutil.copytree(small_package_folder, folder)
    description = json.loads((folder / "package.json").read_text())
    if field == "file":
        description["networks"][0]["file"] = attack
    elif attack == "x.pt":
        return
    else:
        description["name"] = attack
    (folder / "package.json").write_text(json.dumps(description))
    with pytest.raises(BadPackage, match=field):
        read_description(folder)
