"""Judge the inputs of a cycle by their measures: what no weather explains is refused, what is rare is suspicious.

What is suspicious by itself and to another input as well is refused too. Where background and state disagree, the one
is blamed that something else speaks against: see `_to_blame`. The limits are the region's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.inputs.fetch import Fetched, unusable
from stormcast_tw.inputs.input_set import InputName, InputSet
from stormcast_tw.inputs.second_opinion import measure
from stormcast_tw.regions import HOME
from stormcast_tw.regions.region import InputLimit
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store


class Group(NamedTuple):
    """What a group of measures speaks about, and whether it compares a provider with itself alone."""

    input: InputName
    by_itself: bool


GROUPS: Mapping[str, Group] = {
    "background": Group("background", by_itself=True),
    "background and its run before": Group("background", by_itself=True),
    "background and ground": Group("background", by_itself=False),
    "state": Group("state", by_itself=True),
    "state and the hour before": Group("state", by_itself=True),
    "state and background": Group("state", by_itself=False),
    "state and forecast": Group("state", by_itself=False),
    "rain": Group("rain", by_itself=True),
    "rain and hours before": Group("rain", by_itself=True),
    "rain and others": Group("rain", by_itself=False),
    "model rain": Group("model_rain", by_itself=False),
}
"""Of where state and background are compared, see also `_to_blame`."""


@dataclass(frozen=True)
class Finding:
    """A measure beyond its limits: `refused` if no weather explains it, else only suspicious."""

    limit: InputLimit
    value: float
    refused: bool

    @property
    def group(self) -> str:
        """What was compared with what."""
        return self.limit.measure.partition(":")[0]

    def __str__(self) -> str:
        group, _, what = self.limit.measure.partition(": ")
        word, (low, high) = ("allowed", self.limit.refused) if self.refused else ("usual", self.limit.usual)
        span = (
            f"{high:g} or less" if low in (-inf, 0) else f"{low:g} or more" if high == inf else f"{low:g} to {high:g}"
        )
        return f"{what} ({group}) is {self.value:.4g}{self.limit.unit}; {word} {span}"


def findings(numbers: Mapping[str, float], limits: Sequence[InputLimit] = HOME.input_limits) -> Iterator[Finding]:
    """Yield what lies beyond its limits, in the order of the limits. NaN is beyond every limit."""
    for limit in limits:
        value = numbers.get(limit.measure)
        if value is None:
            continue
        for (low, high), refused in ((limit.refused, True), (limit.usual, False)):
            if not low <= value <= high:
                yield Finding(limit, value, refused)
                break


def examine(
    store: Store, inputs: InputSet, fetched: Sequence[Artifact], forecast: xr.Dataset | None = None
) -> tuple[InputSet, dict[str, float]]:
    """Return `inputs`, suspicious ones marked as degraded, and every measure by name.

    `forecast` is what the cycle before forecast for this init_time: t2m, u10m, v10m (valid_time = 1, y, x).
    Raises UnusableInput for an input that no weather explains, so that the next stand-in serves.
    """
    fields = {name: dataset for artifact in fetched for name, dataset in _kept(store, artifact)}
    numbers = measure(fields | ({} if forecast is None else {"forecast": forecast}), HOME.compared_at)
    beyond = list(findings(numbers))
    doubts: dict[InputName, list[Finding]] = {}
    for finding in beyond:
        doubts.setdefault(_to_blame(finding, beyond, numbers), []).append(finding)
    for name, found in doubts.items():
        served = inputs.get(name)
        if served is not None and served.files and (reasons := _reasons_to_refuse(found)):
            raise unusable(served, BadInput(f"{served.files[0].address}: {'; '.join(map(str, reasons))}"))
    return inputs.doubted({name: "; ".join(map(str, found)) for name, found in doubts.items()}), numbers


def _reasons_to_refuse(found: Sequence[Finding]) -> Sequence[Finding]:
    """Return the first that no weather explains; or all, if an input is suspicious by itself and to another one."""
    impossible = [finding for finding in found if finding.refused]
    by_itself = {GROUPS[finding.group].by_itself for finding in found}
    return impossible[:1] or (found if by_itself == {True, False} else ())


def _kept(store: Store, artifact: Artifact) -> Iterator[tuple[str, xr.Dataset]]:
    details = Fetched.of(artifact)
    for name in (*details.used, *details.compared):
        yield name, store.open(artifact, name)


def _to_blame(finding: Finding, beyond: Sequence[Finding], numbers: Mapping[str, float]) -> InputName:
    """Return the input that a finding speaks against.

    Where state and background disagree it is the background if that is already suspicious by itself, or if the forecast
    of the cycle before agrees with the state; else the state, whose one file says less than the background's many.
    """
    if finding.group != "state and background":
        return GROUPS[finding.group].input
    doubted = {other.group for other in beyond}
    if "background" in {GROUPS[group].input for group in doubted}:
        return "background"
    agrees = any(name.startswith("state and forecast:") for name in numbers) and "state and forecast" not in doubted
    return "background" if agrees else "state"
