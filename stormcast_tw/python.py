"""Forecasts in Python: xarray in, xarray out, nothing stored. `import stormcast_tw as st` gives these names::

    model = st.load("demo")
    state, background = st.read_inputs("20260611T06Z", "demo", hours=12, root="var/inputs")  # or fields of your own
    forecast = model.forecast(state, background, members=4, hours=12, seed=0)
    products = st.products(forecast)
    latest = st.latest("var/published", "demo")

What fits as `state` and `background` is said at `Model.forecast`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw import __version__, quality
from stormcast_tw.cycle import Cycle, datetime64
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.forecast.rollout import first_state, rollout
from stormcast_tw.grid import Grid
from stormcast_tw.inputs.examination import examine
from stormcast_tw.inputs.fetch import UnusableInput, fetch
from stormcast_tw.inputs.prepare import Prepared, plan_inputs, prepare
from stormcast_tw.inputs.readiness import look
from stormcast_tw.inputs.request import Request
from stormcast_tw.model import package as packages
from stormcast_tw.model.description import DESCRIPTION, Description, describe
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.state import State
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.publication import pointers
from stormcast_tw.schema import forecast_spec, global_attributes
from stormcast_tw.settings import package_folder, settings
from stormcast_tw.sources.base import Source
from stormcast_tw.sources.table import all_sources
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.objects import objects
from stormcast_tw.storage.store import Store
from stormcast_tw.variables import VariableSet

AXIS_TOLERANCE = 1e-3
"""Largest distance of a grid's axis from the model's, in grid points: axes are often float32."""


@dataclass(frozen=True)
class Model:
    """A model package in memory, on a device, ready to forecast. `load` makes one."""

    package: ModelPackage
    device: str = "cpu"

    @property
    def description(self) -> Description:
        """What the package says of itself."""
        return self.package.description

    @property
    def grid(self) -> Grid:
        """The grid on which states and backgrounds must be: `inputs.onto_grid` brings them there."""
        return self.package.grid

    def forecast(
        self, state: xr.Dataset, background: xr.Dataset, members: int | None = None, hours: int = 12, seed: int = 0
    ) -> xr.Dataset:
        """Return a forecast (member, lead_time, y, x): leads 1 to `hours`, CF attributes, float32, SI units.

        `state` (y, x) holds the model's state variables at init_time, its coordinate `valid_time`, which must be a
        cycle; `background` (valid_time, y, x) the background variables at every hour from init_time on. Names are the
        project's (`variables.VARIABLES`), units SI, the grid the model's own. The same seed gives the same forecast,
        and with the inputs of an operational run the values of that run.
        Raises BadInput with the variable, what was found and what is allowed.
        """
        count = self.description.members if members is None else members
        cycle = _cycle_of(state)
        initial = self._fields(state, self.package.state_set, "state", [datetime64(cycle.init_time)])
        times = [datetime64(cycle.valid_time(lead)) for lead in range(hours + 1)]
        driving = self._fields(background, self.package.background_set, "background", times)
        model, variables = StormCast(self.package, self.device), self.package.background_set
        backgrounds = [
            State.of(driving[lead][None], variables, cycle.valid_time(lead), model.device) for lead in range(hours + 1)
        ]
        noise = self.package.noise(seed, cycle.init_time, range(count))
        first = first_state(model, initial, backgrounds[0], noise, count)
        steps = rollout(model, first, backgrounds, noise, range(1, hours + 1))
        return self._dataset(state, cycle, np.stack([later.numpy() for _, later in steps], axis=2))

    def _dataset(self, state: xr.Dataset, cycle: Cycle, values: npt.NDArray[np.float32]) -> xr.Dataset:
        """Return values (member, variable, lead_time, y, x) as a forecast."""
        described, grid = self.description, self.grid
        attributes = global_attributes(
            "StormCast Taiwan ensemble forecast",
            simulated=described.simulated or bool(state.attrs.get("simulated", 0)),
            trained=described.trained,
            source=f"stormcast-tw {__version__}, package {described.name} {described.version}",
            history=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} forecast by stormcast_tw.Model.forecast",
        )
        spec = forecast_spec(cycle, grid, self.package.state_set, values.shape[0], values.shape[2], attributes)
        arrays = {name: (a.dims, values[:, v], a.attributes) for v, (name, a) in enumerate(spec.arrays.items())}
        forecast = spec.coordinates.assign(arrays)
        for array in forecast.data_vars.values():  # where xarray itself keeps what it writes of its coordinates
            array.encoding["coordinates"] = array.attrs.pop("coordinates")
        return forecast

    def _fields(
        self, dataset: xr.Dataset, variables: VariableSet, what: str, times: Sequence[np.datetime64]
    ) -> npt.NDArray[np.float32]:
        """Return (valid_time, variable, y, x) at the wanted times; raises BadInput where something does not fit."""
        if absent := [name for name in variables.ids if name not in dataset]:
            raise BadInput(f"{what}: lacks {', '.join(absent)}; found {', '.join(map(str, dataset.data_vars))}")
        self._require_grid(dataset, what)
        for variable in variables:
            if (units := dataset[variable.id].attrs.get("units", variable.units)) != variable.units:
                raise BadInput(f"{what}: {variable.id} is in {units}; allowed {variable.units}")
        found = np.atleast_1d(dataset["valid_time"].values).astype("datetime64[ns]")
        if missing := [str(time)[:16] for time in times if time not in found]:
            raise BadInput(f"{what}: has no field valid at {', '.join(missing[:3])} UTC; found {_span(found)}")
        index = [int(np.flatnonzero(found == time)[0]) for time in times]
        fields = [dataset[v].values.reshape(found.size, *self.grid.shape)[index] for v in variables.ids]
        values = np.stack(fields, axis=1).astype(np.float32)
        for v, variable in enumerate(variables):
            unknown = what == "state" and bool(np.isnan(values[:, v]).all())  # made from the background, if it can be
            quality.check(values[:, v], variable, what, missing_allowed=unknown)
        return values

    def _require_grid(self, dataset: xr.Dataset, what: str) -> None:
        for name, axis, count in zip(self.grid.dims, (self.grid.y, self.grid.x), self.grid.shape, strict=True):
            if name not in dataset.coords:
                raise BadInput(f"{what}: has no coordinate {name}; found {', '.join(map(str, dataset.coords))}")
            found = dataset[name].values
            step = abs(float(axis[1] - axis[0]))
            if found.shape != axis.shape or np.max(np.abs(found - axis)) > AXIS_TOLERANCE * step:
                raise BadInput(
                    f"{what}: {name} has {found.size} points from {found[0]:g} to {found[-1]:g};"
                    f" allowed {count} from {axis[0]:g} to {axis[-1]:g} ({self.grid.name})"
                )


def _cycle_of(state: xr.Dataset) -> Cycle:
    if "valid_time" not in state.coords or state["valid_time"].size != 1:
        raise BadInput("state: needs one valid_time, the start of the forecast; found none or several")
    seconds = int(state["valid_time"].values.astype("datetime64[s]").astype(int).ravel()[0])
    try:
        return Cycle(datetime.fromtimestamp(seconds, UTC))
    except ValueError as error:
        raise BadInput(f"state: valid_time {error}") from error


def _span(times: npt.NDArray[np.datetime64]) -> str:
    return f"{times.size} times from {str(times.min())[:16]} to {str(times.max())[:16]}" if times.size else "none"


def load(package: str | Path, device: str = "cpu") -> Model:
    """Load a model package: the name of a shipped one (`demo`), its folder, or its address on an object store.

    Raises BadPackage for anything in it that does not match.
    """
    text = str(package)
    if "://" not in text:
        return Model(packages.load(package_folder(Path(package))), device)
    with tempfile.TemporaryDirectory() as folder:
        root = objects(text.rstrip("/"))
        for name in root.files(""):
            if PurePosixPath(name).suffix in (".json", ".safetensors") and (found := root.read(name)) is not None:
                Path(folder, PurePosixPath(name).name).write_bytes(found.data)
        if not Path(folder, DESCRIPTION).exists():
            raise NotReady(f"{text}/{DESCRIPTION}: there is no model package here")
        return Model(packages.load(Path(folder)), device)


def read_inputs(
    cycle: str, package: str | Path = "demo", hours: int = 12, root: str | Path | None = None
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the state (y, x) and the background (valid_time, y, x) of a cycle from providers' files, as operations do.

    `root` holds a folder of each provider's files, or is its address; by default the settings say where they are. What
    `Model.forecast` needs for `hours` leads is read, examined and brought onto the package's grid; the best that is
    there serves, and the attributes `inputs` and `inputs_status` say what that is.
    Raises NotReady naming what is missing, BadInput if all that is there is damaged.
    """
    chosen = settings() if root is None else settings().model_copy(update={"inputs_root": str(root), "providers": {}})
    folder = package_folder(Path(package))
    request = Request(Cycle.parse(cycle), hours, "python", folder, describe(folder), datetime.now(UTC))
    with tempfile.TemporaryDirectory() as work:
        store = Store(work)
        prepared = _prepare_best(request, all_sources(chosen, request.description.grid), store)
        state, background = (store.open(prepared, name).load() for name in ("state", "background"))
    served = Prepared.of(prepared).served
    state = state.assign_coords(valid_time=datetime64(request.cycle.init_time))
    return state.assign_attrs(served), background.swap_dims(lead_time="valid_time").assign_attrs(served)


def _prepare_best(request: Request, sources: Mapping[str, Source], store: Store) -> Artifact:
    """Prepare the inputs that are there; where one cannot be used, its next stand-in serves."""
    rejected: dict[str, str] = {}
    while True:
        inputs = look(request.need, sources, rejected).require_complete()
        try:
            fetched = (
                fetch(store, request, inputs, ("past_rain", "rain", "model_rain", "state", "background"), sources),
            )
            examined, _ = examine(store, inputs, fetched, None)
            return prepare(store, request, plan_inputs(request, examined, fetched), examined, fetched)
        except UnusableInput as error:
            rejected |= error.rejected


@dataclass(frozen=True)
class OpenRun:
    """A published run, opened: `forecast` and `products` are read when their values are asked for."""

    forecast: xr.Dataset
    products: xr.Dataset
    manifest: dict[str, Any]
    """How it was made."""


def latest(root: str | Path, experiment: str = "demo") -> OpenRun:
    """Open the newest published run of an experiment; `root` is the folder or address `.../published`.

    Raises NotReady if nothing is published, BadInput where what is there is damaged.
    """
    text = str(root).rstrip("/")
    store = Store("." if text == pointers.PUBLISHED else text.removesuffix(f"/{pointers.PUBLISHED}"))
    run: Artifact | None = pointers.latest(store, experiment)
    if run is None:
        raise NotReady(f"{text}: nothing is published in experiment {experiment}")
    manifest = run.model_dump(mode="json")
    return OpenRun(store.open(run, "forecast"), store.open(run, "products"), manifest)
