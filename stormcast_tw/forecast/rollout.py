"""The rollout: hour by hour and member batch by member batch, stored as it goes, resumed where it stopped.

The next step always starts from the stored values, so that a rollout killed anywhere and run again by the same plan
ends with exactly the values of an uninterrupted one.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from stormcast_tw import __version__
from stormcast_tw.cycle import hours
from stormcast_tw.errors import BadPackage
from stormcast_tw.forecast.job import FORECAST, Progress, Rolled, RolloutJob, address
from stormcast_tw.model import package as packages
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.state import State
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.plan import Plan
from stormcast_tw.schema import DatasetSpec, coverage_attributes, forecast_spec, global_attributes
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Draft, Store
from stormcast_tw.storage.zarr_arrays import array_of
from stormcast_tw.variables import VariableSet

Noise = Callable[[int], npt.NDArray[np.float32]]


def rollout(
    model: StormCast, state: State, background: Sequence[State], noise: Noise, lead_hours: Sequence[int]
) -> Iterator[tuple[int, State]]:
    """Yield (lead_hours, state) for consecutive leads; `background[k]` is valid k hours after init_time.

    `state` is valid one hour before the first lead; `noise(lead)` is standard normal (member, variable, y, x).
    """
    for lead in lead_hours:
        state = model.step(state, background[lead - 1], background[lead], noise(lead))
        yield lead, state


def carry_out(job: RolloutJob, report: Callable[[Progress], None]) -> Artifact:
    """Roll the plan out and seal the forecast, continuing an earlier attempt; a sealed one is returned as it is.

    Raises BadPackage if the package is not the plan's.
    """
    plan, store = job.plan, Store(job.work_root)

    def fill(draft: Draft) -> Artifact:
        if job.threads:
            torch.set_num_threads(job.threads)
        package = packages.load(job.package)
        if package.digest != plan.inputs.package:
            raise BadPackage(f"{job.package}: digest is {package.digest}, the plan asks for {plan.inputs.package}")
        inputs = Store(job.prepared_root)
        prepared = inputs.get(job.prepared)
        draft.create(FORECAST, _spec(job, package, prepared))
        model = StormCast(package, job.device)
        initial = _initial(inputs, prepared, package)
        background = _background(inputs, prepared, package, plan, model.device)
        count = _Count(plan, draft, report)
        for batch in plan.batches:
            _roll_batch(model, draft, plan, batch, initial, background, count)
        return draft.seal(
            grid=package.grid.describe(),
            variables=package.state_set.ids,
            parents=(prepared,),
            simulated=prepared.simulated or package.description.simulated,
            trained=package.description.trained,
            now=job.now,
            details=Rolled(
                package=_package_details(package),
                machine=machine(job.device),
                seconds_per_member_hour=count.seconds_each,
                attribution=job.attribution,
            ),
        )

    return store.make(address(plan), plan.model_dump(mode="json"), fill)


def _roll_batch(
    model: StormCast,
    draft: Draft,
    plan: Plan,
    members: tuple[int, ...],
    initial: npt.NDArray[np.float32],
    background: Sequence[State],
    count: _Count,
) -> None:
    package, variables = model.package, model.package.state_set
    noise = package.noise(plan.base_seed, plan.cycle.init_time, members)
    group, marked = draft.arrays(FORECAST), draft.parts()
    done = 0
    while done < plan.lead_hours and all(part(m, done + 1) in marked for m in members):
        done += 1
    region = slice(members[0], members[-1] + 1)

    def stored(lead: int) -> State:
        values = np.stack([np.asarray(array_of(group, v)[region, lead - 1]) for v in variables.ids], axis=1)
        return State.of(values, variables, plan.cycle.valid_time(lead), model.device)

    state = stored(done) if done else first_state(model, initial, background[0], noise, len(members))
    for lead, later in rollout(model, state, background, noise, range(done + 1, plan.lead_hours + 1)):
        values = later.numpy()
        for v, variable in enumerate(variables.ids):
            array_of(group, variable)[region, lead - 1] = values[:, v]
        for member in members:
            draft.mark(part(member, lead))
        count.add(len(members))


def first_state(
    model: StormCast, initial: npt.NDArray[np.float32], background: State, noise: Noise, members: int
) -> State:
    """Return every member's state at the background's time, which is init_time, from that of all (1, variable, y, x).

    Missing values (NaN) are made from the background alone, with `noise(0)`.
    """
    missing = np.isnan(initial)
    values = np.repeat(initial, members, axis=0)
    if missing.any():
        values = np.where(missing, model.begin(background, noise(0)).numpy(), values)
    return State.of(values, model.package.state_set, background.valid_time, model.device)


def part(member: int, lead: int) -> str:
    """Return the name of the marker that says all variables of (member, lead) are stored."""
    return f"m{member:04d}-l{lead:02d}"


class _Count:
    """Counts member-hours and reports them."""

    def __init__(self, plan: Plan, draft: Draft, report: Callable[[Progress], None]) -> None:
        self._done, self._total = len(draft.parts()), plan.members * plan.lead_hours
        self._report, self._last = report, time.monotonic()
        self._seconds, self._counted = 0.0, 0
        report(Progress(done=self._done, total=self._total))

    def add(self, members: int) -> None:
        now = time.monotonic()
        self._done = min(self._done + members, self._total)
        self._seconds, self._counted = self._seconds + now - self._last, self._counted + members
        self._report(Progress(done=self._done, total=self._total, seconds_each=(now - self._last) / members))
        self._last = now

    @property
    def seconds_each(self) -> float | None:
        """Seconds per member-hour; None if earlier attempts had made all of them."""
        return round(self._seconds / self._counted, 4) if self._counted else None


def _spec(job: RolloutJob, package: ModelPackage, prepared: Artifact) -> DatasetSpec:
    plan = job.plan
    attributes = global_attributes(
        "StormCast Taiwan ensemble forecast",
        simulated=prepared.simulated or package.description.simulated,
        trained=package.description.trained,
        source=f"stormcast-tw {__version__}+{plan.code_version}, package {package.description.name} "
        f"{package.description.version} ({package.digest[:12]})",
        experiment=plan.experiment,
        run=plan.run,
        id=f"{address(plan)}",
        processing_level="raw members of an ensemble forecast",
        date_created=f"{job.now:%Y-%m-%dT%H:%M:%SZ}",
        history=f"{job.now:%Y-%m-%dT%H:%M:%SZ} rolled out by stormcast-tw",
        **prepared.details.get("served", {}),
        **coverage_attributes(plan.cycle, package.grid, plan.lead_hours),
        **job.attribution,
    )
    return forecast_spec(plan.cycle, package.grid, package.state_set, plan.members, plan.lead_hours, attributes)


def _initial(store: Store, prepared: Artifact, package: ModelPackage) -> npt.NDArray[np.float32]:
    """Return the prepared state (1, variable, y, x); NaN where values are missing."""
    dataset = store.open(prepared, "state")
    return np.stack([dataset[v].values for v in package.state_set.ids])[None]


def _background(
    store: Store, prepared: Artifact, package: ModelPackage, plan: Plan, device: torch.device
) -> list[State]:
    dataset, variables = store.open(prepared, "background"), package.background_set
    values = np.stack([dataset[v].values for v in variables.ids], axis=1)
    return [
        _state_at(values[lead], variables, plan.cycle.init_time, lead, device) for lead in range(plan.lead_hours + 1)
    ]


def _state_at(
    values: npt.NDArray[np.float32], variables: VariableSet, init_time: datetime, lead: int, device: torch.device
) -> State:
    return State.of(values[None], variables, init_time + hours(lead), device)


def _package_details(package: ModelPackage) -> dict[str, Any]:
    described = package.description
    return {
        "name": described.name,
        "version": described.version,
        "digest": package.digest,
        "trained": described.trained,
    }


def machine(device: str) -> dict[str, Any]:
    """Return what a forecast's last digits depend on: processor, threads, versions."""
    return {
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
