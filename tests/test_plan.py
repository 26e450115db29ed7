import pytest
from pydantic import ValidationError

from stormcast_tw.plan import InputsPlan, Plan, Sampler, digest_of

SAMPLER = Sampler(name="dpmpp_2m", steps=6, sigma_min=0.002, sigma_max=80.0, rho=7.0)
INPUTS = InputsPlan(
    experiment="demo",
    cycle="20260611T06Z",
    inputs={"state": ("sha256:a",), "rain": ("sha256:b",)},
    package="p",
    lead_hours=12,
    code_version="0",
)
PLAN = Plan(inputs=INPUTS, members=10, base_seed=0, sampler=SAMPLER, members_per_batch=4)


def test_same_plan_same_run_whatever_the_order_of_keys():
    shuffled = Plan.model_validate(dict(reversed(PLAN.model_dump().items())))
    assert shuffled.run == PLAN.run
    assert len(PLAN.run) == 12


@pytest.mark.parametrize(
    "change",
    [
        {"members": 11},
        {"base_seed": 1},
        {"members_per_batch": 5},
        {"sampler": SAMPLER.model_copy(update={"steps": 7})},
        {"inputs": INPUTS.model_copy(update={"package": "q"})},
        {"inputs": INPUTS.model_copy(update={"inputs": {"state": ("sha256:a",)}})},
        {"inputs": INPUTS.model_copy(update={"code_version": "1"})},
    ],
    ids=lambda c: next(iter(c)),
)
def test_any_change_is_another_run(change: dict[str, object]):
    assert PLAN.model_copy(update=change).run != PLAN.run


def test_unknown_keys_and_impossible_values_are_refused():
    for wrong in ({"memebers": 3}, {"members": 0}, {"precision": "float16"}):
        with pytest.raises(ValidationError):
            Plan.model_validate(PLAN.model_dump() | wrong)
    with pytest.raises(ValidationError, match=r"sigma_min 90\.0 is not below sigma_max 80\.0"):
        Sampler(name="edm_heun", steps=6, sigma_min=90.0, sigma_max=80.0, rho=7.0)
    with pytest.raises(ValidationError, match="not a cycle"):
        InputsPlan.model_validate(INPUTS.model_dump() | {"cycle": "20260611T07Z"})


def test_batches_cover_all_members_once():
    assert PLAN.batches == ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9))


def test_digest_is_the_sha256_of_canonical_json():
    # printf '{"a":[1,2],"b":"x"}' | sha256sum
    assert digest_of({"b": "x", "a": [1, 2]}) == "d0f56dda38d34376527524ddd98f7ec117d5cbfb240f86e11bfb9d2d01a717d9"
