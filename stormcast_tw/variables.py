"""THE table of variables, and the ordered sets that packages choose from.

Ids are Earth2Studio's. `tp01` is rain in mm (kg m-2) over the hour *ending* at valid_time; the metres of
Earth2Studio and ERA5 are converted in the source that reads them and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Transform = Literal["identity", "log1p"]
UNITS = ("K", "m s-1", "Pa", "kg kg-1", "m2 s-2", "kg m-2", "dBZ", "m", "1")


@dataclass(frozen=True)
class Variable:
    """One physical quantity at one level, in SI units.

    `valid_range` is what can occur near Taiwan, with a margin: inputs outside it are refused, forecasts are limited to
    it. `transform` is how the model sees it. Forecast values below `trace` become 0: they are too small for a gauge or
    a rounded radar value to show. Raises ValueError for unknown units or an unordered range.
    """

    id: str
    standard_name: str
    long_name: str
    units: str
    valid_range: tuple[float, float]
    cell_methods: str = "time: point"
    level_hpa: int | None = None
    transform: Transform = "identity"
    trace: float = 0.0

    def __post_init__(self) -> None:
        if self.units not in UNITS:
            raise ValueError(f"variable {self.id}: unknown units {self.units!r}")
        if not self.valid_range[0] < self.valid_range[1]:
            raise ValueError(f"variable {self.id}: range {self.valid_range} is not ordered")

    @property
    def attributes(self) -> dict[str, str]:
        """CF attributes of an array of this variable."""
        names = {"standard_name": self.standard_name} if self.standard_name else {}
        return {**names, "long_name": self.long_name, "units": self.units, "cell_methods": self.cell_methods}


@dataclass(frozen=True)
class VariableSet:
    """A named, ordered set of variables: the channel axis of a network or the arrays of a dataset."""

    name: str
    variables: tuple[Variable, ...]

    def __post_init__(self) -> None:
        repeated = {v for v in self.ids if self.ids.count(v) > 1}
        if repeated:
            raise ValueError(f"variable set {self.name}: {sorted(repeated)} appear twice")

    @property
    def ids(self) -> tuple[str, ...]:
        """The variable ids in channel order."""
        return tuple(variable.id for variable in self.variables)

    @property
    def linear(self) -> list[int]:
        """Channel indices of the variables without a transform, ascending."""
        return [index for index, variable in enumerate(self.variables) if variable.transform == "identity"]

    def __iter__(self) -> Iterator[Variable]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)


_SURFACE = (
    Variable("t2m", "air_temperature", "2 metre temperature", "K", (220.0, 330.0)),
    Variable("u10m", "eastward_wind", "10 metre eastward wind", "m s-1", (-90.0, 90.0)),
    Variable("v10m", "northward_wind", "10 metre northward wind", "m s-1", (-90.0, 90.0)),
    Variable(
        "tp01",
        "precipitation_amount",
        "rain in the past hour",
        "kg m-2",
        (0.0, 300.0),
        "time: sum",
        None,
        "log1p",
        trace=0.05,
    ),
    Variable("refc", "equivalent_reflectivity_factor", "composite radar reflectivity", "dBZ", (-35.0, 80.0)),
    Variable("sp", "surface_air_pressure", "surface pressure", "Pa", (45000.0, 108000.0)),
    Variable("msl", "air_pressure_at_mean_sea_level", "mean sea level pressure", "Pa", (86000.0, 106000.0)),
    Variable("tcwv", "atmosphere_mass_content_of_water_vapor", "total column water vapour", "kg m-2", (0.0, 110.0)),
)

_INVARIANTS = (
    Variable("lsm", "land_area_fraction", "land mask (1 land, 0 sea)", "1", (0.0, 1.0), ""),
    Variable("orog", "surface_altitude", "orography", "m", (-100.0, 4000.0), ""),
    Variable("coverage", "", "training coverage: 1 where rain truth existed in training", "1", (0.0, 1.0), ""),
)

LEVELS_HPA = (1000, 925, 850, 700, 500, 400, 300, 250, 200)
"""Pressure levels of the `upper` state set."""

_PRESSURE_LEVEL_RANGES: dict[str, tuple[str, str, str, dict[int, tuple[float, float]]]] = {
    # letter: (standard_name, long_name, units, {lowest pressure this row serves: range})
    "u": ("eastward_wind", "eastward wind", "m s-1", {0: (-130.0, 130.0)}),
    "v": ("northward_wind", "northward wind", "m s-1", {0: (-130.0, 130.0)}),
    "t": (
        "air_temperature",
        "temperature",
        "K",
        {700: (230.0, 330.0), 400: (210.0, 300.0), 0: (170.0, 270.0)},
    ),
    "q": ("specific_humidity", "specific humidity", "kg kg-1", {0: (0.0, 0.035)}),
    "z": (
        "geopotential",
        "geopotential",
        "m2 s-2",
        {900: (-9000.0, 12000.0), 700: (8000.0, 35000.0), 400: (36000.0, 80000.0), 0: (80000.0, 220000.0)},
    ),
}


def pressure_level(letter: str, level_hpa: int) -> Variable:
    """Return the variable `letter` (u, v, t, q or z) on a pressure level, e.g. `z500`."""
    standard_name, name, units, ranges = _PRESSURE_LEVEL_RANGES[letter]
    valid_range = ranges[max(lowest for lowest in ranges if lowest <= level_hpa)]
    return Variable(
        f"{letter}{level_hpa}",
        standard_name,
        f"{name} at {level_hpa} hPa",
        units,
        valid_range,
        level_hpa=level_hpa,
    )


_ANY_LEVEL = tuple(
    pressure_level(letter, level)
    for letter in _PRESSURE_LEVEL_RANGES
    for level in (1000, 925, 850, 700, 600, 500, 400, 300, 250, 200, 150, 100, 50)
)

VARIABLES: dict[str, Variable] = {v.id: v for v in (*_SURFACE, *_INVARIANTS, *_ANY_LEVEL)}
"""Every variable of the project by its id."""


def variable_set(name: str, *ids: str) -> VariableSet:
    """Return a set of variables of the table; raises KeyError for an id that is not in it."""
    return VariableSet(name, tuple(VARIABLES[variable_id] for variable_id in ids))


def _on(letters: str, levels: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"{letter}{level}" for letter in letters for level in levels)


_STATE = ("t2m", "u10m", "v10m", "tp01")
_BACKGROUND = ("msl", "t2m", "u10m", "v10m", *_on("qtuvz", (1000, 850, 500, 250)))

STATE_SETS = {
    chosen.name: chosen
    for chosen in (
        variable_set("surface", *_STATE),
        variable_set("surface_radar", *_STATE, "refc"),
        variable_set("upper", *_STATE, *_on("uvtqz", LEVELS_HPA), "sp", "msl", "tcwv"),
    )
}
"""What a package may predict."""

BACKGROUND_SETS = {
    chosen.name: chosen
    for chosen in (
        variable_set("background24", *_BACKGROUND),
        variable_set("background26", *_BACKGROUND, "sp", "tcwv"),
    )
}
"""What a package may be driven by."""

INVARIANTS = variable_set("invariants", "lsm", "orog", "coverage")
"""The constant fields that every package carries on its own grid."""
