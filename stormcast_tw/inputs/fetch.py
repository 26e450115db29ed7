"""Reads the inputs that readiness found: checks them, and stores them unchanged, so that what served stays known.

One artifact of kind `inputs` holds what was fetched together, one dataset per input, on the providers' own grids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import xarray as xr
from pydantic import Field

from stormcast_tw import quality
from stormcast_tw.cycle import HOURS_BETWEEN_CYCLES, datetime64, hours
from stormcast_tw.errors import BadInput, NotReady, Refused, StormcastError, Unreachable
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.input_set import Input, InputName, InputSet
from stormcast_tw.inputs.onto_grid import observed_weights, require_terrain
from stormcast_tw.inputs.readiness import version_of
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.description import load_invariants
from stormcast_tw.names import is_operational
from stormcast_tw.plan import digest_of
from stormcast_tw.quality import Verdict
from stormcast_tw.regrid import bilinear
from stormcast_tw.sources.base import Located, Reading, Source, interpretation
from stormcast_tw.storage.artifact import Address, Artifact, Details
from stormcast_tw.storage.provider_files import Used
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.variables import VARIABLES, variable_set
from stormcast_tw.version import code_version


class Fetched(Details):
    """The manifest details of fetched inputs: what served each, what was read of it, and every verdict on it."""

    inputs: tuple[Input, ...]
    used: dict[str, tuple[Used, ...]]
    verdicts: dict[str, tuple[str, ...]]
    interpretation: dict[str, dict[str, str]] = Field(default_factory=dict)
    """By input, the settings by which its source read it. Empty before 0.2."""
    compared: tuple[str, ...] = ()
    """Datasets beside the inputs that they are compared with: COMPARED."""


COMPARED: Mapping[InputName, str] = {"state": "state_before", "background": "background_before"}
"""What an input is compared with, if it is there: the state with the same run an hour earlier, the background with the
provider's run six hours before."""
COMPARED_BACKGROUND = variable_set("compared", "t2m", "msl", "u10m", "v10m", "t850", "q850", "z500", "u500", "v500")


class UnusableInput(BadInput):
    """An input that was found but cannot be used; `rejected` holds the reasons by file version, for `look`."""

    def __init__(self, message: str, rejected: Mapping[str, str]) -> None:
        super().__init__(message)
        self.rejected = dict(rejected)


def fetch(
    store: Store, request: Request, inputs: InputSet, names: Sequence[InputName], sources: Mapping[str, Source]
) -> Artifact:
    """Read the named inputs that are served, check them, and store them unchanged, one dataset each.

    `past_rain` must be named before `rain`, which is compared with its last hour.
    The manifest's details are `Fetched`.
    Raises UnusableInput for an input that cannot be read or fails a check, Refused for anything simulated in `oper`.
    """
    wanted = [served for name in names if (served := inputs.get(name)) is not None and served.files]
    compared = {served.name: before for served in wanted if (before := _before(served, sources[served.source]))}
    plan = {
        "inputs": {served.name: _plan_of(served, sources[served.source]) for served in wanted},
        "compared": {COMPARED[name]: list(map(version_of, before.files)) for name, before in compared.items()},
        "package": request.description.digest,
        "code_version": code_version("inputs"),
    }
    address = Address(kind="inputs", experiment=request.experiment, cycle=inputs.cycle, run=digest_of(plan)[:12])

    def fill(draft: Draft) -> Artifact:
        readings = {served.name: _read(served, sources[served.source]) for served in wanted}
        before = {name: found for name, at in compared.items() if (found := _read_if_sound(at, sources)) is not None}
        verdicts = _examine_all(wanted, readings, before, request)
        for name, reading in readings.items():
            draft.write(name, reading.dataset)
        for name, dataset in before.items():
            draft.write(COMPARED[name], dataset)
        return draft.seal(
            grid={name: Grid.of(reading.dataset).describe() for name, reading in readings.items()},
            variables=tuple(dict.fromkeys(v for i in wanted for v in i.variables)),
            parents=tuple(file.address for i in wanted for file in i.files),
            simulated=_simulated(wanted, readings, request),
            now=request.now,
            details=Fetched(
                inputs=tuple(wanted),
                used={name: reading.used for name, reading in readings.items()},
                verdicts=verdicts,
                interpretation={served.name: interpretation(sources[served.source]) for served in wanted},
                compared=tuple(COMPARED[name] for name in before),
            ),
        )

    return store.make(address, plan, fill)


def _simulated(wanted: Sequence[Input], readings: Mapping[InputName, Reading], request: Request) -> bool:
    """Return True if anything is simulated; raises Refused where that must not be."""
    simulated = any(bool(reading.dataset.attrs.get("simulated", 0)) for reading in readings.values())
    if simulated and is_operational(request.experiment):
        addresses = ", ".join(file.address for served in wanted for file in served.files)
        raise Refused(f"experiment {request.experiment}: {addresses} are simulated")
    return simulated


def _plan_of(served: Input, source: Source) -> dict[str, Any]:
    """Return all that shapes what is kept of an input."""
    return {
        "source": served.source,
        "files": [version_of(file) for file in served.files],
        "valid_times": [time.isoformat() for time in served.valid_times],
        "variables": list(served.variables),
        "init_time": None if served.init_time is None else served.init_time.isoformat(),
        "interpretation": interpretation(source),
    }


def _read(served: Input, source: Source) -> Reading:
    located = served.located()
    try:
        return source.read(located)
    except (Refused, NotReady, Unreachable) as error:
        raise unusable(served, error) from error


def unusable(served: Input, error: StormcastError) -> UnusableInput:
    """Reject this version of the files that the error names, or of all files; a new delivery may serve."""
    files = served.located().files
    named = [file for file in files if file.address in str(error)] or list(files)
    return UnusableInput(str(error), {version_of(file): str(error) for file in named})


def _before(served: Input, source: Source) -> Located | None:
    """Find what an input is compared with; None if there is none, or it is not there."""
    if served.init_time is None or served.name not in COMPARED:
        return None
    times, variables, init_time = served.valid_times[:1], served.located().variables, served.init_time
    if served.name == "state":
        times = (times[0] - hours(1),)
    else:
        variables, init_time = COMPARED_BACKGROUND, init_time - hours(HOURS_BETWEEN_CYCLES)
    if init_time > times[0]:
        return None
    try:
        return source.find(times, variables, init_time)
    except StormcastError:
        return None


def _read_if_sound(located: Located, sources: Mapping[str, Source]) -> xr.Dataset | None:
    try:
        return sources[located.source].read(located).dataset
    except StormcastError:
        return None


def _examine_all(
    wanted: Sequence[Input],
    readings: Mapping[InputName, Reading],
    before: Mapping[InputName, xr.Dataset],
    request: Request,
) -> dict[str, tuple[str, ...]]:
    """Return the verdicts on every input; raises UnusableInput."""
    grid, orography = request.description.grid, load_invariants(request.package, request.description)["orog"]
    verdicts: dict[str, tuple[str, ...]] = {}
    for served in wanted:
        hour_before = _past_hour(served, readings) if served.name == "rain" else None
        if served.name == "state":
            hour_before = before.get("state")
        found = _examine(served, readings[served.name].dataset, hour_before, grid, orography)
        verdicts[served.name] = tuple(map(str, found))
    return verdicts


def _past_hour(rain: Input, readings: Mapping[InputName, Reading]) -> xr.Dataset | None:
    """Return the past rain of the hour before, if it is from the same source."""
    if "past_rain" not in readings:
        return None
    past, before = readings["past_rain"].dataset, datetime64(rain.valid_times[0] - hours(1))
    fits = past.attrs["source"] == rain.source and past["valid_time"].values[-1] == before
    return past.isel(valid_time=[-1]) if fits else None


def _examine(
    served: Input, dataset: xr.Dataset, before: xr.Dataset | None, grid: Grid, orography: Any
) -> Iterator[Verdict]:
    """Yield every verdict on an input, which is compared with the hour before if there is one; raises UnusableInput."""
    try:
        yield from quality.ranges(dataset)
        yield from _examine_coverage(served, dataset, grid, orography)
        for name, array in before.data_vars.items() if before is not None else ():
            if VARIABLES[str(name)].cell_methods:  # constants do not change
                now = dataset[name].values[0]
                yield from quality.examine_change(now, array.values[0], VARIABLES[str(name)], served.files[0].address)
    except BadInput as error:
        raise unusable(served, error) from error


def _examine_coverage(served: Input, dataset: xr.Dataset, grid: Grid, orography: Any) -> Iterator[Verdict]:
    address, source = served.files[0].address, Grid.of(dataset)
    try:
        if served.name == "rain" and source.is_geographic:
            observed = observed_weights(source, grid)(dataset["tp01"].values[0])
            yield from quality.examine_rain(observed, address)
        elif served.name != "past_rain":
            weights = bilinear(source, grid)
            if served.name == "state":
                yield require_terrain(weights(dataset["orog"].values[0]), orography)
    except BadInput as error:
        raise error if str(error).startswith(address) else BadInput(f"{address}: {error}") from error


def input_table(inputs: InputSet, fetched: Sequence[Artifact]) -> list[dict[str, str]]:
    """Return the table of inputs with bytes read and verdicts: one row per input, for people and for the manifest."""
    details = [Fetched.of(artifact) for artifact in fetched]
    used = {name: files for detail in details for name, files in detail.used.items()}
    verdicts = {name: passed for detail in details for name, passed in detail.verdicts.items()}
    rows = []
    for row in inputs.table():
        files = used.get(row["input"], ())
        megabytes = sum(file.bytes_read for file in files) / 1e6
        rows.append(
            row
            | {"read": f"{megabytes:.2f} MB" if files else "", "quality": "; ".join(verdicts.get(row["input"], ()))}
            | {"sha256": " ".join(file.digest for file in files)}
        )
    return rows
