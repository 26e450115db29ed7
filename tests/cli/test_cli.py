"""The command line: words, JSON and exit codes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stormcast_tw.cli import __main__ as cli
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.settings import settings


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["stormcast-tw", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    return int(ended.value.code or 0)


@pytest.fixture(autouse=True)
def small(small_package_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORMCAST_TW_PACKAGE", str(small_package_folder))
    settings.cache_clear()


def test_package_show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, "package", "show") == 0
    text = capsys.readouterr().out
    assert "UNTRAINED demo package" in text
    assert "dpmpp_2m, 6 calls" in text


def test_package_show_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, "package", "show", "--json") == 0
    described = json.loads(capsys.readouterr().out)
    assert described["state_set"] == "surface"
    assert described["trained"] is False


def test_package_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, "package", "check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["parameters"]["diffusion"] > 100_000


def test_package_check_refuses_a_strangers_package_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small_package_folder: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(small_package_folder, tmp_path / "package"))
    described = json.loads((folder / "package.json").read_text())
    described["networks"][0]["architecture"]["model_channels"] = 100_000
    (folder / "package.json").write_text(json.dumps(described))
    assert run(monkeypatch, "package", "check", str(folder)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"BadPackage: {folder}/package.json: networks.0.architecture.model_channels: ")
    assert said.count("\n") == 1


def test_package_show_prints_markup_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small_package_folder: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(small_package_folder, tmp_path / "package"))
    described = json.loads((folder / "package.json").read_text())
    (folder / "package.json").write_text(json.dumps(described | {"summary": "[link=x]a[/link] [/red]"}))
    assert run(monkeypatch, "package", "show", str(folder)) == 0
    assert "[link=x]a[/link] [/red]" in capsys.readouterr().out


def test_package_export_and_import(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small_package: ModelPackage, tmp_path: Path
):
    assert run(monkeypatch, "package", "export", str(tmp_path / "mdlus")) == 0
    assert run(monkeypatch, "package", "import", str(tmp_path / "mdlus"), str(tmp_path / "back")) == 0
    assert f"digest {small_package.digest}" in capsys.readouterr().out
    (tmp_path / "mdlus" / "diffusion.mdlus").write_bytes(b"PK")
    assert run(monkeypatch, "package", "import", str(tmp_path / "mdlus"), str(tmp_path / "not")) == 1
    assert capsys.readouterr().err.startswith(f"BadPackage: {tmp_path}/mdlus/diffusion.mdlus: is not a physicsnemo")
    assert not (tmp_path / "not").exists()


def test_refusal_is_one_line_and_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, "package", "check", "nowhere") == 1
    assert capsys.readouterr().err == "BadPackage: nowhere/package.json: there is no model package here\n"


@pytest.mark.parametrize("arguments", [["forecast", "--cycle", "20260611T07Z"], ["simulate", "--lead-hours", "99"]])
def test_usage_is_exit_code_2(monkeypatch: pytest.MonkeyPatch, arguments: list[str]):
    assert run(monkeypatch, *arguments) == 2


def test_doctor_finds_a_fit_machine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    code = run(monkeypatch, "doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert code == 0, findings
    assert "conditional create works, conditional compare-and-swap works" in findings["published root"]["found"]


def test_doctor_names_a_broken_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setenv("STORMCAST_TW_PACKAGE", str(tmp_path / "nowhere"))
    settings.cache_clear()
    assert run(monkeypatch, "doctor", "--json") == 1
    findings = {finding["check"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert not findings["model package"]["fine"]
    assert "there is no model package here" in findings["model package"]["found"]
    assert findings["disk"]["fine"]


def test_simulate_writes_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert run(monkeypatch, "simulate", "--cycle", "20260115T00Z", "--lead-hours", "6", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert first["simulated"] is True
    assert {Path(p).relative_to(tmp_path / "inputs").parts[0] for p in first["written"]} == {
        "rwrp",
        "qpesums",
        "global_ai",
    }


def test_core_opens_products_without_torch_or_prefect():
    """Products, verification and the page load in a second on a laptop."""
    script = (
        "import sys, stormcast_tw.products, stormcast_tw.storage.store, stormcast_tw.inputs.readiness\n"
        "print([m for m in ('torch', 'physicsnemo', 'prefect') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True
                          ).stdout == "[]\n"  # fmt: skip
