"""Damages that no format shows: each gets its verdict on the way from the files to the prepared inputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect import flow

from stormcast_tw.errors import StormcastError
from stormcast_tw.flows.operations import _gather
from stormcast_tw.inputs.input_set import InputSet
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.description import describe
from tests.conftest import CYCLE, NOW, ROOT
from tests.inputs.damages import DAMAGES, KINDS

PACKAGE = ROOT / "packages" / "demo"


@flow(validate_parameters=False)
def gather(request: Request) -> InputSet | StormcastError:
    """The first half of `operations`."""
    try:
        return _gather(request, wait=False)[0]
    except StormcastError as error:
        return error


def outcome(inputs: InputSet | StormcastError) -> tuple[str, str]:
    """Return the verdict that the inputs got, and what was said; what is refused does not serve."""
    if isinstance(inputs, StormcastError):
        return "refused", str(inputs)
    if inputs.doubts:
        return "noticed", "; ".join(inputs.doubts)
    if inputs.status != "ready":
        return "refused", "; ".join(inputs.degraded)
    return "right", ""


def gathered(lead_hours: int = 6) -> InputSet | StormcastError:
    return gather(Request(CYCLE, lead_hours, "demo", PACKAGE, describe(PACKAGE), NOW))


def require(name: str) -> str:
    """Hold what the damaged inputs get to the table; `refused` is more than `noticed`."""
    verdict, said = outcome(gathered())
    wanted = DAMAGES[name].verdict
    assert verdict == wanted or (verdict, wanted) == ("refused", "noticed"), said
    return f"{verdict}: {said}"


@pytest.mark.parametrize("name", KINDS)
def test_one_of_each_kind(name: str, inputs: Path):
    DAMAGES[name].do(inputs)
    require(name)
