"""A run's id rests on what makes the result: a word changes none, a changed step changes all that follow."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import get_args

import pytest

import stormcast_tw
from stormcast_tw.plan import InputsPlan, Plan, ProductsPlan
from stormcast_tw.version import Step, code_version, modules_of

FROM_FILES = ("inputs", "prepared", "training data")
ALL_BUT_MODEL = (*FROM_FILES, "simulated training data", "training")
STEPS: tuple[Step, ...] = get_args(Step)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, target = Path(stormcast_tw.__file__).parent, tmp_path_factory.mktemp("code") / "stormcast_tw"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.html", "*.pyc"))
    return target


def versions(package: Path) -> dict[Step, str]:
    code_version.cache_clear()
    return {step: code_version(step, package) for step in STEPS}


@pytest.mark.parametrize(
    ("module", "before", "after", "changed"),
    [
        ("cli/options.py", "Ensemble size", "How many members", ()),
        ("quality.py", '"""Is this field believable', '"""Can one believe', ()),
        ("regrid.py", "\ndef ", "\n# a remark\n\n\ndef ", ()),
        ("storage/store.py", "_SCAFFOLDING", "_POLES", ()),
        ("quality.py", "LEAST_COVERAGE = 0.3", "LEAST_COVERAGE = 0.4", ALL_BUT_MODEL),
        ("model/sampler.py", "expm1", "exp_m1", ("forecast", "training")),
        ("forecast/rollout.py", "lead - 1", "lead - 2", ("forecast", "training")),
        ("regions/taiwan/thresholds.py", "40.0", "41.0", ("products", "exports")),
        ("sources/rwrp.py", "_", "__", FROM_FILES),
        ("training/loss.py", "fold(", "unfold(", ("training",)),
        ("simulation/world/weather.py", "LAPSE_RATE = 5.4e-3", "LAPSE_RATE = 6.5e-3", ("simulated training data",)),
    ],
)  # fmt: skip
def test_what_changes_an_id(copy: Path, tmp_path: Path, module: str, before: str, after: str, changed: tuple[str, ...]):
    ours, path = versions(copy), copy / module
    text = path.read_text()
    try:
        path.write_text(text.replace(before, after))
        assert path.read_text() != text
        assert {step for step, version in versions(copy).items() if version != ours[step]} == set(changed)
    finally:
        path.write_text(text)


def test_a_release_of_torch_or_physicsnemo_is_another_forecast(monkeypatch: pytest.MonkeyPatch, copy: Path):
    ours, real = versions(copy), metadata.version
    for library in ("torch", "nvidia-physicsnemo"):
        monkeypatch.setattr(metadata, "version", lambda name, library=library: "99" if name == library else real(name))
        assert {step for step, version in versions(copy).items() if version != ours[step]} == {"forecast", "training"}
    monkeypatch.setattr(metadata, "version", lambda name: f"{real(name)}+cpu" if name == "torch" else real(name))
    assert versions(copy) == ours, "a build for another device is the same release"
    code_version.cache_clear()


def test_what_a_step_rests_on():
    rests = {step: modules_of(step) for step in STEPS}
    for step in STEPS:
        assert not [m for m in rests[step] if m.split(".")[1] in ("cli", "operations", "storage")], step
    for step in ("inputs", "prepared", "forecast", "products"):
        assert not [m for m in rests[step] if m.split(".")[1] in ("simulation", "training", "verification")], step
    assert "stormcast_tw.model.network" not in rests["prepared"]
    assert not [m for m in rests["forecast"] if ".sources" in m or ".inputs" in m], "its inputs name theirs"
    assert not [m for m in rests["products"] if ".model" in m]


def test_later_steps_name_the_earlier(small_package):
    sampler = small_package.description.sampler

    def run(prepared: str, forecast: str, products: str) -> tuple[str, str]:
        inputs = InputsPlan(
            experiment="demo", cycle="20260611T06Z", inputs={}, package="0", lead_hours=1, code_version=prepared
        )
        plan = Plan(inputs=inputs, members=1, base_seed=0, sampler=sampler, members_per_batch=1, code_version=forecast)
        return plan.run, ProductsPlan(forecast=plan, code_version=products).run

    ours = run("a", "b", "c")
    assert run("a", "b", "d")[0] == ours[0]
    for other in (run("x", "b", "c"), run("a", "x", "c")):
        assert other[0] != ours[0]
        assert other[1] != ours[1]
    assert run("a", "b", "d")[1] != ours[1]


def test_a_plan_made_before_0_2_keeps_its_id(small_package):
    sampler = small_package.description.sampler
    inputs = InputsPlan(
        experiment="demo", cycle="20260611T06Z", inputs={}, package="0", lead_hours=1, code_version="0.1.0+1"
    )
    old = Plan(inputs=inputs, members=1, base_seed=0, sampler=sampler, members_per_batch=1)
    stored = {k: v for k, v in old.model_dump(mode="json").items() if k != "code_version"}
    read = ProductsPlan.read(stored)
    assert (read.forecast, read.forecast.run, read.code_version) == (old, old.run, None)
