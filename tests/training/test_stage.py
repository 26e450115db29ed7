"""A whole training of seconds: what it leaves behind, that it learns, and that it can be cut anywhere."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from stormcast_tw.cycle import hours
from stormcast_tw.errors import BadInput, BadPackage, Conflict, Refused
from stormcast_tw.model import package as packages
from stormcast_tw.model.noise import standard_normal
from stormcast_tw.model.state import State
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.training import checkpoint, log, stage
from stormcast_tw.training.calibration import calibration
from stormcast_tw.training.draws import Draws, Samples, positions
from stormcast_tw.training.health import Interrupted, Limits, TrainingIll
from stormcast_tw.training.loss import batch_of, known
from stormcast_tw.training.processes import Team
from stormcast_tw.training.recipes import RECIPES
from stormcast_tw.training.run import RESIDUAL, RUN, Begun, Result, carry_out
from stormcast_tw.training.starting_package import uncalibrated, with_background_details
from stormcast_tw.training_data.reader import TrainingData
from tests.training.small_training import EVERY, NET, NOW, STAGE, small


@pytest.fixture(scope="module")
def finished(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    carry_out(small(), data, folder, EVERY, NOW)
    return folder


def losses(folder: Path) -> list[tuple[str, int, float]]:
    lines = log.read(folder / log.LOG)
    return [(line["stage"], line["update"], line["loss"]) for line in lines if "loss" in line]


def test_a_run_ends_with_a_package_that_steps(data: TrainingData, finished: Path):
    package = packages.load(finished / "package")
    assert package.description.trained
    assert package.description.simulated
    assert package.description.provenance["data_sha256"] == data.digest
    result = Result.model_validate_json((finished / "result.json").read_text())
    assert result.package == package.digest
    assert result.best_stage == "diffusion"
    assert result.best_update in (4, 5)
    assert result.scores is not None
    assert result.scores.leads == (1, 2)
    model, held_out = StormCast(package), data.of("held_out")
    place = int(held_out.starts()[0])
    time, background = Samples(held_out).at(place), held_out.background(place, 2)
    before, after = (
        State.of(background[n : n + 1], package.background_set, time + hours(n), model.device) for n in (0, 1)
    )
    state = State.of(held_out.state(place), package.state_set, time, model.device)
    noise = standard_normal(0, time, 0, 1, (1, 4, 16, 16))
    assert np.isfinite(model.step(state, before, after, noise).numpy()).all()


def test_the_residual_in_the_package_is_that_of_held_out_hours(data: TrainingData, finished: Path):
    """With it, the mean square of the diffusion's target over those hours is 1, of every variable."""
    package = packages.load(finished / "package")
    held_out = data.of("held_out")
    places = held_out.starts()[np.linspace(0, held_out.starts().size - 1, 4).round().astype(int)]
    model = StormCast(package)
    batches = [batch_of(model, "diffusion", [Samples(held_out)[int(p), 0]], [1.0] * 4) for p in places]
    squares = sum((b.weight * b.target**2).sum(dim=(0, 2, 3)) for b in batches)
    counts = sum(b.weight.sum(dim=(0, 2, 3)) for b in batches)
    assert (squares / counts).tolist() == pytest.approx([1.0] * 4, rel=1e-4)
    stored = json.loads((finished / RESIDUAL).read_text())
    assert stored == {v: s.residual_std for v, s in package.description.state.items()}
    trained = [int(p) for p in data.of("training").starts()]
    assert not set(map(int, places)) & set(trained)


def test_what_a_run_says_of_itself(finished: Path):
    lines = [line for line in log.read(finished / log.LOG) if line["stage"] == "diffusion"]
    updates = [line for line in lines if "loss" in line]
    assert [line["update"] for line in updates] == [1, 2, 3, 4, 5]
    for line in updates:
        assert line["loss"] == pytest.approx(np.mean(list(line["by_variable"].values())))
        assert list(line["by_variable"]) == ["t2m", "u10m", "v10m", "tp01"]
        assert 1 <= len(line["by_sigma"]) <= 4
        assert line["samples_per_second"] > 0
        assert 0 <= line["waiting"] <= 1
        assert line["skipped"] == 0
    assert [line["update"] for line in lines if "validation" in line] == [4, 5]
    assert list((finished / "tensorboard").iterdir())
    begun = Begun.model_validate_json((finished / RUN).read_text())
    assert begun.recipe == small()
    assert len(begun.attempts) == 1


def test_the_shipped_weights_are_a_mean_of_the_learning_ones(finished: Path):
    state = checkpoint.read(finished / "regression.pt", torch.device("cpu"))
    assert state is not None
    assert state["update"] == 5
    weights, shipped = state["network"], state["shipped"]
    apart = [
        float((weights[name] - shipped[name]).abs().max()) for name in weights if weights[name].is_floating_point()
    ]
    assert 0 < max(apart) < 1e-2
    saved = packages.load(finished / "package").networks["regression"].state_dict()
    for name, value in saved.items():
        torch.testing.assert_close(value, shipped[name], rtol=0, atol=0)


def test_a_longer_training_learns(data: TrainingData, tmp_path: Path):
    """The archive is white noise around a mean, so the change is -(state - mean): half of its variance is known."""
    stage = STAGE.model_copy(update={"updates": 80, "learning_rate": 5e-3})
    recipe = small(networks={"regression": NET}, stages={"regression": stage})
    carry_out(recipe, data, tmp_path, EVERY.model_copy(update={"log_every": 10}), NOW)
    found = [loss for _, _, loss in losses(tmp_path)]
    assert found[0] > 0.8
    assert 0.45 < found[-1] < 0.9 * found[0], "and nobody can learn more than half"


@pytest.mark.parametrize("cut_at", [("regression", 3), ("diffusion", 2), ("diffusion", 4)])
def test_a_run_that_was_cut_goes_on_with_the_losses_of_one_that_was_not(
    data: TrainingData, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_at: tuple[str, int]
):
    add, seen = stage._Window.add, []

    def kill_itself(window, found, samples, norm):
        add(window, found, samples, norm)
        seen.append(norm)
        if len(seen) == {"regression": 0, "diffusion": 5}[cut_at[0]] + cut_at[1]:
            os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(stage._Window, "add", kill_itself)
    with pytest.raises(Interrupted, match=f"SIGUSR1 asked to stop; {cut_at[0]} is saved at update {cut_at[1]} of 5"):
        carry_out(small(), data, tmp_path, EVERY, NOW)
    monkeypatch.undo()
    assert carry_out(small(), data, tmp_path, EVERY, NOW) == tmp_path / "package"
    assert losses(tmp_path) == losses(finished), "bit for bit"
    assert packages.describe(tmp_path / "package").files == packages.describe(finished / "package").files
    assert len(Begun.model_validate_json((tmp_path / RUN).read_text()).attempts) == 2


def test_a_run_without_a_last_checkpoint_repeats_what_it_lost(data: TrainingData, finished: Path, tmp_path: Path):
    """Killed outright at update 3: the checkpoint of update 2 stands, the log has a line more and half of another."""
    recipe = small()

    class Killed(BaseException):
        pass

    class KilledAt3(TrainingData):
        def state(self, place: int, hours: int = 1):
            count.append(place)
            if len(count) > 3 * 4:
                raise Killed
            return super().state(place, hours)

    count: list[int] = []
    with pytest.raises(Killed):
        carry_out(recipe, _as(KilledAt3, data), tmp_path, EVERY, NOW)
    with (tmp_path / log.LOG).open("a") as file:
        file.write('{"stage": "regr')
    assert [update for _, update, _ in losses(tmp_path)] == [1, 2, 3]
    carry_out(recipe, data, tmp_path, EVERY, NOW)
    assert losses(tmp_path) == losses(finished)


def _as(kind: type[TrainingData], data: TrainingData) -> TrainingData:
    class Splits(kind):  # type: ignore[valid-type, misc]
        def of(self, split):
            return kind(self.artifact, split)

    return Splits(data.artifact, data.split)


def test_micro_batches_are_the_same_training(data: TrainingData, finished: Path, tmp_path: Path):
    carry_out(small(), data, tmp_path, EVERY.model_copy(update={"at_once": 1}), NOW)
    for (name, update, whole), (_, _, parts) in zip(losses(finished), losses(tmp_path), strict=True):
        assert parts == pytest.approx(whole, rel=1e-4), f"{name} {update}"


def test_readers_ahead_see_the_same_samples(data: TrainingData, finished: Path, tmp_path: Path):
    recipe = small(networks={"regression": NET}, stages={"regression": STAGE})
    carry_out(recipe, data, tmp_path, EVERY.model_copy(update={"workers": 1}), NOW)
    assert losses(tmp_path) == losses(finished)[:5]


@pytest.mark.parametrize("switch", [{"bf16": True}, {"channels_last": True}])
def test_switches_change_digits_not_what_is_learnt(data: TrainingData, finished: Path, tmp_path: Path, switch):
    carry_out(small(), data, tmp_path, EVERY.model_copy(update=switch), NOW)
    for (_, _, plain), (_, _, switched) in zip(losses(finished), losses(tmp_path), strict=True):
        assert switched == pytest.approx(plain, rel=0.05 if "bf16" in switch else 1e-4)
    assert losses(tmp_path) != losses(finished) or "bf16" not in switch
    dtypes = {p.dtype for net in packages.load(tmp_path / "package").networks.values() for p in net.parameters()}
    assert dtypes == {torch.float32}


def test_crops_and_the_models_own_hours(data: TrainingData, tmp_path: Path):
    rollout = STAGE.model_copy(update={"updates": 2, "rollout_hours": 2, "learning_rate": 1e-4})
    recipe = small(stages={"regression": STAGE, "diffusion": STAGE, "rollout": rollout}, crop=(8, 8), crops=2)
    carry_out(recipe, data, tmp_path, EVERY, NOW)
    assert [(stage, update) for stage, update, _ in losses(tmp_path)][-2:] == [("rollout", 1), ("rollout", 2)]
    draws = Draws.of(recipe, "rollout")
    assert len(draws.places(0, np.arange(9, dtype=np.int32))) == 2, "maps, of two crops each"
    assert {draws.ahead(update) for update in range(40)} == {0, 1, 2}


ROLES_TRAINED = ("regression", "diffusion")


def test_background_only_networks_are_added_to_a_package(data: TrainingData, finished: Path, tmp_path: Path):
    base = packages.load(finished / "package")
    stages = {f"background_only_{name}": STAGE for name in ("regression", "diffusion")}
    recipe = small(name="alone", networks=dict.fromkeys(stages, NET), stages=stages)
    package = packages.load(carry_out(recipe, data, tmp_path, EVERY, NOW, base))
    assert package.description.begins_alone
    for role in ("regression", "diffusion"):
        for name, value in base.networks[role].state_dict().items():
            torch.testing.assert_close(package.networks[role].state_dict()[name], value, rtol=0, atol=0)
    result = Result.model_validate_json((tmp_path / "result.json").read_text())
    assert result.scores is not None
    assert result.scores.leads == (0,)
    assert result.scores.crps["t2m"][0] < 10 * result.scores.reference["t2m"][0]


def test_a_package_is_trained_on_with_its_own_scales(data: TrainingData, finished: Path, tmp_path: Path):
    base = packages.load(finished / "package")
    recipe = small(name="small_tuned", stages={name: STAGE.model_copy(update={"updates": 3}) for name in ROLES_TRAINED})
    package = packages.load(carry_out(recipe, data, tmp_path, EVERY, NOW, base))
    told, before = package.description, base.description
    assert (told.name, told.version, before.version) == (before.name, "1.1.0", "1.0.0")
    assert told.background == before.background
    assert [s.model_dump(exclude={"residual_std"}) for s in told.state.values()] == [
        s.model_dump(exclude={"residual_std"}) for s in before.state.values()
    ]
    assert told.provenance["recipe"] == "small_tuned"
    assert told.provenance["base recipe"] == before.provenance["recipe"]
    assert (
        f"Went on from a package of recipe {told.provenance['base recipe']}"
        in (tmp_path / "package" / "README.md").read_text()
    )
    for role in ROLES_TRAINED:
        moved = [
            float((value - base.networks[role].state_dict()[name]).abs().max())
            for name, value in package.networks[role].state_dict().items()
        ]
        assert 0 < max(moved) < 0.01, "three updates away from the base, and not from anywhere else"


def test_a_base_that_gets_background_details_says_what_it_said(data: TrainingData, finished: Path, tmp_path: Path):
    base = packages.load(finished / "package")
    place, rng = int(data.starts()[0]), np.random.default_rng(3)
    shape = (2, len(base.state_set), *base.grid.shape)
    states = np.repeat(known(data.state(place), base), 2, axis=0)
    fields, noise = data.background(place, 2), rng.standard_normal(shape, dtype=np.float32)
    time = Samples(data).at(place)
    made = []
    for package in (base, with_background_details(base)):
        model = StormCast(package)
        before, after = (State.of(fields[n][None], base.background_set, time + hours(n), model.device) for n in (0, 1))
        made.append(model.step(State.of(states, base.state_set, time, model.device), before, after, noise).numpy())
    scale = np.abs(made[0]).max(axis=(0, 2, 3))
    assert (np.abs(made[1] - made[0]).max(axis=(0, 2, 3)) <= 1e-4 * scale).all()
    stages = {name: STAGE.model_copy(update={"updates": 3, "state_error": 0.4}) for name in ROLES_TRAINED}
    recipe = small(name="small_driven", background_details=True, shapiro_order=3, calibrated=True, stages=stages)
    package = packages.load(carry_out(recipe, data, tmp_path, EVERY, NOW, base))
    assert package.description.background_details
    assert package.description.shapiro_order == 3
    alone, held_out = Team(0, 1, torch.device("cpu")), data.of("held_out")
    again = calibration(
        StormCast(uncalibrated(package)), held_out, max(recipe.residual_hours // 4, 2), alone, lambda: None
    )
    for variable, expected in again.items():
        scale = package.description.state[variable]
        assert scale.gain is not None
        assert scale.widest_waves is not None
        assert list(scale.gain) == pytest.approx(expected["gain"], rel=1e-4)
        assert list(scale.widest_waves.std) == pytest.approx(expected["widest_waves"]["std"], rel=1e-4, abs=1e-6)
        persistence = expected["widest_waves"]["persistence"]
        assert list(scale.widest_waves.persistence) == pytest.approx(persistence, abs=1e-4)
    rain = package.description.state["tp01"]
    assert rain.gain is None
    assert rain.widest_waves is None
    card = (tmp_path / "package" / "README.md").read_text()
    assert "how the background changes in the hour and how far the state is from it" in card
    assert "a Shapiro filter of order 3" in card
    assert "Sampled residuals are multiplied, by octave of wavelength, as measured on held-out hours: t2m" in card
    assert "The 16 widest waves that ensembles lack are added" in card
    assert "In diffusion, states err at large scale by 0.4 of what they change in an hour." in card
    with pytest.raises(BadPackage, match="sees background details; recipe small does not"):
        carry_out(small(), data, tmp_path / "without", EVERY, NOW, package)


def test_a_base_of_other_networks_is_refused(data: TrainingData, finished: Path, tmp_path: Path):
    base = packages.load(finished / "package")
    wider = NET.model_copy(update={"model_channels": 2 * NET.model_channels})
    recipe = small(name="wide", networks=dict.fromkeys(ROLES_TRAINED, wider))
    with pytest.raises(BadPackage, match="has no network regression, diffusion of the size in recipe wide"):
        carry_out(recipe, data, tmp_path, EVERY, NOW, base)
    with pytest.raises(BadPackage, match=r"sees details \(.*\); recipe small \(3,\)"):
        carry_out(small(detail_widths=(3,)), data, tmp_path / "details", EVERY, NOW, base)


def test_another_run_in_the_same_folder_is_refused(data: TrainingData, finished: Path):
    with pytest.raises(Conflict, match="holds a run of another recipe"):
        carry_out(small(seed=1), data, finished, EVERY, NOW)


def test_data_of_other_variables_and_uneven_shares_are_refused(data: TrainingData, tmp_path: Path):
    with pytest.raises(BadInput, match=r"holds \('surface', 'background24'\); recipe upper_2y5 needs \('upper'"):
        carry_out(RECIPES["upper_2y5"](), data, tmp_path, EVERY, NOW)
    with pytest.raises(Refused, match="batch of 4: 3 processes"):
        positions(4, 0, 3, 0)
    with pytest.raises(Refused, match="1 processes with 3 samples at once"):
        positions(4, 0, 1, 3)
    with pytest.raises(Refused, match="do not share its maps evenly"):
        positions(4, 0, 4, 0, crops=2)
    assert positions(8, 1, 2, 2) == ((4, 5), (6, 7))
    with pytest.raises(BadInput, match=r"a grid of \(16, 16\) points; crops of \(112, 64\) do not fit"):
        carry_out(RECIPES["demo"](), data, tmp_path, EVERY, NOW)


def test_gradients_that_are_not_finite_are_skipped_counted_and_in_a_row_make_it_ill(data: TrainingData, tmp_path: Path):
    class Broken(TrainingData):
        def state(self, place: int, hours: int = 1):
            count.append(place)
            values = super().state(place, hours).copy()
            if len(count) > 2 * 4:
                values[-1, 0] = np.inf
            return values

    count: list[int] = []
    with pytest.raises(TrainingIll, match="update 5: 3 gradients in a row were not finite") as caught:
        carry_out(small(), _as(Broken, data), tmp_path, EVERY, NOW, limits=Limits(skipped_in_a_row=3))
    assert caught.value.what == "nan"
    ill = json.loads((tmp_path / "ill.json").read_text())
    assert ill["event"] == "training.ill"
    assert ill["what"] == "nan"
    lines = log.read(tmp_path / log.LOG)
    assert [line["skipped"] for line in lines] == [0, 0, 1, 2]
    assert [line["loss"] is None for line in lines] == [False, False, True, True]
    state = checkpoint.read(tmp_path / "regression.pt", torch.device("cpu"))
    assert state is not None
    assert all(bool(torch.isfinite(value).all()) for value in state["network"].values())
