"""The command, the model card, and whether two runs agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stormcast_tw.cli.training import train_app
from stormcast_tw.errors import NotReady
from stormcast_tw.model import package as packages
from stormcast_tw.training import model_card, recipes
from stormcast_tw.training.agreement import compare
from stormcast_tw.training.run import RESULT, RUN, Result, carry_out
from stormcast_tw.training_data.reader import TrainingData
from tests.training.small_training import EVERY, NOW, small


@pytest.fixture(scope="module")
def run(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    carry_out(small(), data, folder, EVERY, NOW)
    return folder


def copy_of(run: Path, to: Path) -> Path:
    to.mkdir()
    for name in (RUN, RESULT, "log.jsonl"):
        (to / name).write_bytes((run / name).read_bytes())
    return to


def change(path: Path, **what: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | what))


def verdicts(a: Path, b: Path, tolerance: float = 0.02) -> dict[str, str]:
    return {row.what: row.verdict for row in compare(a, b, tolerance).rows}


def test_a_run_agrees_with_itself_in_everything(run: Path, tmp_path: Path):
    found = compare(run, copy_of(run, tmp_path / "b"))
    assert found.agree
    assert {row.verdict for row in found.rows} == {"same"}
    names = {row.what for row in found.rows}
    assert {"recipe", "data", "seed", "code", "installed", "hardware", "package", "skill"} <= names
    assert {"loss of regression", "loss of diffusion", "residual of tp01", "crps of t2m"} <= names


def test_metrics_agree_within_the_tolerance_and_not_beyond(run: Path, tmp_path: Path):
    other = copy_of(run, tmp_path / "b")
    result = Result.model_validate_json((run / RESULT).read_text())
    change(other / RESULT, residual_std={v: 1.01 * s for v, s in result.residual_std.items()})
    assert verdicts(run, other)["residual of t2m"] == "within"
    assert compare(run, other).agree
    assert verdicts(run, other, 0.005)["residual of t2m"] == "beyond"
    assert not compare(run, other, 0.005).agree


def test_another_machine_may_agree_other_data_or_seed_never_do(run: Path, tmp_path: Path):
    other = copy_of(run, tmp_path / "b")
    begun = json.loads((run / RUN).read_text())
    machine = begun["attempts"][0] | {"device": "another", "installed": "abc", "code": "0.2"}
    change(other / RUN, attempts=[machine])
    assert compare(run, other).agree
    assert [verdicts(run, other)[name] for name in ("hardware", "installed", "code")] == ["other"] * 3
    for key, value in (("data", "0" * 64), ("recipe", begun["recipe"] | {"seed": 7})):
        change(other / RUN, **{key: value})
        assert verdicts(run, other)[key] == "beyond"
        assert not compare(run, other).agree
    assert verdicts(run, other)["seed"] == "beyond"


def test_a_run_that_has_not_ended_cannot_be_compared(run: Path, tmp_path: Path):
    other = copy_of(run, tmp_path / "b")
    (other / RESULT).unlink()
    with pytest.raises(NotReady, match=r"b/result\.json: is not there; the training has not ended"):
        compare(run, other)


def test_the_card_says_what_is_in_the_package(run: Path, data: TrainingData):
    text = (run / "package" / "README.md").read_text()
    package = packages.load(run / "package")
    result = Result.model_validate_json((run / RESULT).read_text())
    assert result.scores is not None
    for said in (
        package.digest,
        data.digest,
        "SIMULATED",
        "trained on 2 days within 2021-07-01 to 2021-07-02: 47 pairs",
        "held out 1 day within 2021-07-03 to 2021-07-03: 23 pairs",
        "| regression | 5 | 4 | 20 | 0.001 |",
        f"{sum(p.numel() for p in package.networks['diffusion'].parameters()):,}",
        f"{result.scores.crps['t2m'][0]:.3g} ({result.scores.reference['t2m'][0]:.3g})",
        f"{package.description.state['tp01'].residual_std:.4g}",
        "Refused by experiment `oper`",
        "Apache-2.0",
    ):
        assert said in text, said
    assert text.count("\n## ") == 6


def test_the_card_says_what_the_training_cost_and_whether_it_still_learnt(run: Path, data: TrainingData):
    attempt = {"at": "then", "device": "x", "torch": "2", "code": "c", "processes": 2, "threads": 3}
    attempt["switches"] = {"device": "cpu"}
    log = [
        {"stage": "regression", "update": 3, "loss": 2.0, "samples_per_second": 12 / 3600},
        {"stage": "regression", "update": 5, "loss": 1.0, "samples_per_second": 8 / 7200},
        {"stage": "diffusion", "update": 1, "validation": {"skill": None}},
        {"stage": "diffusion", "update": 2, "validation": {"skill": 0.5}},
        {"stage": "diffusion", "update": 1000, "validation": {"skill": 0.75}},
    ]
    text = model_card.card(packages.load(run / "package"), small(), data, [attempt], None, log)
    assert "| stage | updates | batch | samples | learning rate | core-hours |" in text
    assert "| regression | 5 | 4 | 20 | 0.001 | 18.00 |" in text, "12 samples in an hour and 8 in two, on 2 x 3 cores"
    assert "| regression | - | - | - | 2.000 | - | - | 1.000 | - |" in text, "updates 3 and 5 of 5, in eighths"
    assert "diffusion 1: not finite; diffusion 2: 0.500 (shipped); diffusion 1,000: 0.750." in text
    on_gpus = attempt | {"switches": {"device": "cuda"}}
    text = model_card.card(packages.load(run / "package"), small(), data, [on_gpus], None, log)
    assert "GPU-hours |" in text
    assert "| regression | 5 | 4 | 20 | 0.001 | 6.00 |" in text


def test_the_command_trains_and_compares(
    data: TrainingData, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recipes, "RECIPES", {"small": small})
    runner, arguments = CliRunner(), ["run", "small", "--data", data.artifact.uri, "--output", str(tmp_path / "new")]
    done = runner.invoke(train_app, [*arguments, "--log-every", "1"], catch_exceptions=False)
    assert done.exit_code == 0
    assert packages.load(tmp_path / "new" / "package").digest in done.output
    assert packages.describe(tmp_path / "new" / "package").files == packages.describe(run / "package").files
    same = runner.invoke(train_app, ["compare", str(run), str(tmp_path / "new"), "--json"], catch_exceptions=False)
    assert same.exit_code == 0
    change(tmp_path / "new" / RUN, data="0" * 64)
    other = runner.invoke(train_app, ["compare", str(run), str(tmp_path / "new")], catch_exceptions=False)
    assert other.exit_code == 1
    assert "DO NOT AGREE" in other.output


@pytest.mark.parametrize("recipe", ["background_only", "demo_tuned"])
def test_what_makes_no_sense_is_refused_before_anything_is_read(recipe: str, tmp_path: Path):
    refused = CliRunner().invoke(train_app, ["run", recipe, "--data", "nowhere", "--output", str(tmp_path / "run")])
    assert refused.exit_code == 2
    assert f"recipe {recipe} needs it" in refused.output
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_is_not_there_is_a_usage_error(tmp_path: Path):
    refused = CliRunner().invoke(train_app, ["run", "nonsense", "--output", str(tmp_path / "run")])
    assert refused.exit_code == 2
    assert "'nonsense': allowed: rehearsal, demo" in refused.output
