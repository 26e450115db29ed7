"""The whole flow on a real Prefect server: days, progress, report; again; in shares; and its command."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from typer import Typer
from typer.testing import CliRunner

from stormcast_tw.cli.training_data import prepare
from stormcast_tw.flows.training_data import training_data
from stormcast_tw.settings import settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store
from stormcast_tw.tasks.page import wait_until_shown
from stormcast_tw.training_data import build
from stormcast_tw.training_data import recipe as data_recipe
from stormcast_tw.training_data.reader import TrainingData
from stormcast_tw.training_data.recipe import DataRecipe, Simulated, Span
from stormcast_tw.training_data.workers import Local
from tests.conftest import NOW
from tests.training_data.archives import FIRST, TINY

HANGING_SECONDS = 600.0
RECIPE = DataRecipe(
    name="flow",
    archive=Simulated(seed=6),
    grid=TINY,
    training=(Span(first=FIRST, last=FIRST + timedelta(days=2)),),
)


def artifacts(key: str) -> list[object]:
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
        return [artifact.data for artifact in found]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days made in this process: the engines have tests of their own."""

    def run_here(engine, make, parts, done):
        for part in parts:
            done(make(part))

    monkeypatch.setattr("stormcast_tw.tasks.training_data.run_parts", run_here)


def test_days_progress_report_and_nothing_twice(here):
    made = training_data(RECIPE, now=NOW)
    assert isinstance(made, Artifact)
    assert made.simulated
    assert wait_until_shown(HANGING_SECONDS)
    assert 100.0 in artifacts("training-data-flow-days")
    assert len(TrainingData.open(made.uri)) == 71
    files = Store(made.root).objects.files(str(made.address))
    assert training_data(RECIPE, now=NOW + timedelta(days=1)) == made
    assert Store(made.root).objects.files(str(made.address)) == files


def test_a_recipe_that_is_none_fails_with_those_that_are():
    state = training_data("nonsense", return_state=True)
    assert state.is_failed()
    assert "recipe 'nonsense' is not one of rehearsal, demo" in state.message


def test_shares_make_their_own_days_and_the_last_finishes(here):
    recipe = RECIPE.model_copy(update={"name": "shares"})
    assert training_data(recipe, share=(2, 2), now=NOW) is None
    job = build.plan(settings().work_root, recipe, _archive(recipe))
    assert build.days_to_make(job) == (recipe.days[0], recipe.days[2])
    made = training_data(recipe, share=(1, 2), now=NOW)
    assert made is not None
    assert made.details["usable"] == 72


def _archive(recipe: DataRecipe):
    from stormcast_tw.training_data.archives import archive_of

    return archive_of(recipe, settings())


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Typer:
    recipes = {"flow": lambda: RECIPE.model_copy(update={"name": "command"})}
    monkeypatch.setattr(data_recipe, "RECIPES", recipes)
    app = Typer()
    app.command()(prepare)
    return app


def test_the_command_on_a_worker_process(command):
    result = CliRunner().invoke(command, ["flow", "--workers", "1", "--memory", "1.5"])
    assert result.exit_code == 0, result.output
    assert "SIMULATED training data of recipe flow" in result.stdout
    assert "72 of 72 hours usable, 0 missing, 0 refused" in result.stdout
    again = CliRunner().invoke(command, ["flow", "--json"])
    told = json.loads(again.stdout)
    assert told["report"]["pairs"] == {"training": 71, "held_out": 0}
    assert len(TrainingData.open(told["uri"])) == 71


def test_a_share_says_what_remains(command, here):
    result = CliRunner().invoke(command, ["flow", "--share", "1/3"])
    assert result.exit_code == 4
    assert "share 1/3 of flow is made; other days remain" in result.stdout


def test_words_that_are_none_are_refused(command):
    result = CliRunner().invoke(command, ["nothing"])
    assert result.exit_code == 2
    assert "'nothing': allowed: flow" in result.stderr
    for text in ("0/3", "4/3", "x", "1/"):
        result = CliRunner().invoke(command, ["flow", "--share", text])
        assert (result.exit_code, "allowed: K/N" in result.stderr) == (2, True)


def test_an_engine_is_one_of_three_and_says_its_memory():
    assert Local(workers=2).memory_gib == 2.0
    with pytest.raises(ValueError, match="workers"):
        Local(workers=0)
