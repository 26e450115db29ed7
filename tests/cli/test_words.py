"""The command line as a person meets it: what is refused, what is shown on 80 columns, examples, Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from typer.main import get_command

from stormcast_tw import __version__
from stormcast_tw.cli import __main__ as cli
from stormcast_tw.cli import options
from stormcast_tw.cli.shown import input_lines
from stormcast_tw.inputs.input_set import Input, InputSet
from stormcast_tw.plan import BaseSeed, MemberCount
from stormcast_tw.publication import pointers
from stormcast_tw.settings import Settings, settings
from stormcast_tw.storage.artifact import Address
from stormcast_tw.storage.store import Store
from tests.cli.conftest import plan_without_package
from tests.conftest import CYCLE, NOW


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["stormcast-tw", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    return int(ended.value.code or 0)


ROOT = Path(__file__).parents[2]
SPAN = ["--start", "20260612T00Z", "--end", "20260611T18Z"]
WRONG = {
    "backfill " + " ".join(SPAN): "20260611T18Z is before --start 20260612T00Z; allowed: the same cycle or a later",
    "backfill --start 20260610T00Z": "'--end'",
    "backfill --start 20260610T00Z --end 20260611T00Z --parallel 17": "less than or equal to 16",
    "forecast --cycle 20260611T07Z": "allowed: YYYYMMDDTHHZ with hour 00, 06, 12 or 18",
    "forecast --cycle 20261301T00Z": "allowed: YYYYMMDDTHHZ",
    "forecast --cycle 20990101T00Z": "6 h from now",
    "forecast --members 0": "greater than or equal to 1",
    "forecast --members 1025": "less than or equal to 1024",
    "forecast --seed -1": "greater than or equal to 0",
    "forecast --lead-hours 49": "less than or equal to 48",
    "forecast --experiment Oper": "allowed: a lower-case letter",
    "verify run " + " ".join(SPAN): "is before --start",
    "verify compare a b " + " ".join(SPAN): "is before --start",
    "verify run --start 20260610T00Z --end 20260611T00Z --training 2024": "allowed: two dates",
    "verify run --start 20260610T00Z --end 20260611T00Z --truth x": "simulated",
    "prepare nothing": "'nothing': allowed: rehearsal, demo",
    "prepare rehearsal --share 3/2": "allowed: K/N",
    "prepare rehearsal --slurm a --scheduler tcp://b:1": "either --scheduler or --slurm",
    "train run nothing --output x": "'nothing': allowed: rehearsal, demo",
    "train run demo_tuned --output x": "'--base'",
    "train run rehearsal --output x --device tpu": "allowed: cpu, cuda or cuda:N",
    "forecat": "No such command",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_said_in_one_line_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
):
    monkeypatch.setattr(Settings, "use_prefect_home", lambda _: pytest.fail("Prefect was to be started"))
    assert run(monkeypatch, *words.split()) == 2
    said = capsys.readouterr().err
    assert WRONG[words] in said
    assert said.count("\n") == 1


def test_an_untrusted_package_is_refused_before_prefect_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small_package_folder: Path
):
    monkeypatch.setenv("STORMCAST_TW_PACKAGE", str(small_package_folder))
    settings.cache_clear()
    monkeypatch.setattr(Settings, "use_prefect_home", lambda _: pytest.fail("Prefect was to be started"))
    assert run(monkeypatch, "forecast", "--experiment", "oper") == 1
    assert capsys.readouterr().err.startswith("Refused: experiment oper: package")


def test_the_command_line_allows_what_plans_allow():
    members, seed = (TypeAdapter(kind).json_schema() for kind in (MemberCount, BaseSeed))
    assert (members["maximum"], seed["exclusiveMaximum"]) == (options.MOST_MEMBERS, options.MOST_SEED + 1)


def test_shells_complete_verbs_and_recipes():
    asks = {"stormcast-tw fo": "forecast\n", "stormcast-tw train run reh": "rehearsal\n"}
    for words, answer in asks.items():
        environment = os.environ | {
            "_STORMCAST_TW_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        script = "import sys; sys.argv = ['stormcast-tw']; from stormcast_tw.cli.__main__ import run; run()"
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout == answer


def leaves(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    below = getattr(command, "commands", {})
    if not below:
        yield path, command
    for name, one in below.items():
        yield from leaves(one, (*path, name))


VERBS = dict(leaves(get_command(cli.app)))


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_verb_has_an_example_that_it_accepts(path: tuple[str, ...]):
    verb = VERBS[path]
    label, _, example = verb.epilog.partition(": ")
    program, *words = shlex.split(example)
    assert (label, program, tuple(words[: len(path)])) == ("Example", "stormcast-tw", path)
    verb.make_context(path[-1], words[len(path) :])


def test_help_groups_the_verbs_and_version_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, "--help") == 0
    text = capsys.readouterr().out
    assert [text.index(group) for group in ("Operate", "Look", "Train and judge")] == sorted(
        text.index(group) for group in ("Operate", "Look", "Train and judge")
    )
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"stormcast-tw {__version__}\n"


def served(name: str, source: str, **more: object) -> Input:
    known = {"required": True, "status": "ready", "valid_times": (), "variables": (), "expected_age_hours": 3}
    return Input.model_validate({"name": name, "source": source, **known, **more})


SHOWN = """\
inputs of 20260611T06Z (2026-06-11 14:00 Taiwan time): degraded

input       status    served by         run, UTC     Taiwan       age (usual)
state       ready     rwrp              06-11 05:00  06-11 13:00  1 h (3 h)
rain        degraded  qpesums
    It looks suspicious: the wettest cell has 212 mm in an hour, the forecast of
    the cycle before had 3.
background  degraded  mlwp_fourcastnet  06-10 12:00  06-10 20:00  18 h (12 h)
    It is degraded: mlwp_fourcastnet stands in for global_ai because
    global_ai/2026061018/EC-pangu.grb: not there yet (and 2 more).
past_rain   missing   nothing
    Nothing serves it: 0 of 23 hours are there.
    The forecast does not wait for it.

Paths are below /in.
A forecast can start; it will say everywhere that its inputs are degraded."""


def test_inputs_fit_80_columns():
    because = "because /in/global_ai/2026061018/EC-pangu.grb: not there yet (and 2 more)"
    doubt = "the wettest cell has 212 mm in an hour, the forecast of the cycle before had 3"
    begun = CYCLE.init_time
    inputs = (
        served("state", "rwrp", init_time=begun - timedelta(hours=1)),
        served("rain", "qpesums", status="degraded", doubt=doubt),
        served("background", "mlwp_fourcastnet", init_time=begun - timedelta(hours=18), expected_age_hours=12,
               status="degraded", stand_in=True, reason=f"mlwp_fourcastnet stands in for global_ai {because}"),
        served("past_rain", "qpesums", status="missing", required=False, reason="0 of 23 hours are there"),
    )  # fmt: skip
    assert "\n".join(input_lines(InputSet(cycle=str(CYCLE), inputs=inputs), 80, "/in")) == SHOWN


def test_the_catalogue_fits_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    store = Store(settings().published_root)
    assert run(monkeypatch, "catalogue") == 0
    assert "nothing is published yet" in capsys.readouterr().out
    address = Address(kind="published", experiment="demo", cycle=str(CYCLE), run="a" * 12)
    draft = store.begin(address, plan_without_package())
    draft.put("products.nc", b"products")
    run_ = draft.seal(grid={}, variables=(), parents=(), simulated=True, trained=False, now=NOW)
    pointers.point_at(store, run_)
    monkeypatch.setenv("COLUMNS", "80")
    assert run(monkeypatch, "catalogue") == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "20260611T06Z  06-11 14:00  aaaaaaaaaaaa  16       12 h   " in text
    assert "latest: 20260611T06Z, run aaaaaaaaaaaa" in text


def test_ctrl_c_ends_with_one_line(small_package_folder: Path, tmp_path: Path):
    environment = os.environ | {"STORMCAST_TW_PACKAGE": str(small_package_folder)}
    command = [sys.executable, "-m", "stormcast_tw.cli", "inputs", "--cycle", str(CYCLE), "--follow"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, cwd=tmp_path, **pipes) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline().startswith(f"inputs of {CYCLE}")
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=60)
    assert (waiting.returncode, said) == (130, "\nInterrupted: the same command begins anew.\n")


def test_a_library_that_is_missing_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch, capsys):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for module, extra in cli.EXTRAS.items():
        assert any(line.startswith(module.replace("_", "-")) for line in extras[extra]), module

    def missing(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'dask'", name="dask")

    monkeypatch.setattr(cli, "app", missing)
    assert run(monkeypatch, "prepare", "rehearsal") == 1
    assert "pip install 'stormcast-tw[training]'" in capsys.readouterr().err
