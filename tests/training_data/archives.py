"""Archives small enough for seconds: one made of numbers in memory, one of providers' files written here by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import h5netcdf
import numpy as np
from scipy.io import netcdf_file

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.sources.era5_cds import Era5Cds
from stormcast_tw.sources.qpepre import Qpepre
from stormcast_tw.sources.rwrp_training import RwrpTraining
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.provider_files import Folder, Used
from stormcast_tw.training_data.archive import KmScale, LargeScale
from stormcast_tw.training_data.provider_archive import ProviderArchive
from stormcast_tw.training_data.provider_hours import Feed
from stormcast_tw.training_data.recipe import DataRecipe, Providers, Simulated, Span
from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS

TINY = Grid("TINY", 23.0, 23.5, 12, 120.5, 121.0, 10)
COARSE = Grid("BACKGROUND", 22.75, 23.75, 5, 120.25, 121.25, 5)
FIRST = date(2021, 7, 1)
STATE, BACKGROUND = STATE_SETS["surface"], BACKGROUND_SETS["background24"]
MIDDLE = {"msl": 101000.0, "t2m": 296.0, "u10m": -2.0, "v10m": -3.0, "q": 0.01, "t": 260.0, "u": 1.0, "v": 1.0}
HEIGHTS = {"z1000": 1116.0, "z850": 14824.0, "z500": 57386.0, "z250": 107377.0}


def days(count: int, first: date = FIRST) -> Span:
    return Span(first=first, last=first + timedelta(days=count - 1))


def contents(artifact: Artifact) -> dict[str, bytes]:
    """Every file of a dataset by its path; the manifest without where it lies and what that makes its own sha256."""
    root = Path(artifact.uri)
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    manifest = json.loads(found["manifest.json"].replace(artifact.root.encode(), b""))
    found["manifest.json"] = json.dumps({name: value for name, value in manifest.items() if name != "sha256"}).encode()
    return found


def at(day: int, hour: int) -> datetime:
    """An hour, counted from FIRST."""
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=day, hours=hour)


def recipe(training: int = 2, held_out: int = 1, **more: object) -> DataRecipe:
    """Training days from FIRST on, then held-out days, on TINY; the archive's description is not used."""
    out = (days(held_out, FIRST + timedelta(days=training)),) if held_out else ()
    chosen: dict[str, object] = {"archive": Simulated(seed=1), "training": (days(training),), "held_out": out}
    return DataRecipe(name="tiny", grid=TINY, **(chosen | more))


@dataclass(frozen=True)
class NumbersArchive:
    """Every hour from a generator keyed by its time; `missing` and `refused` hours, and `copies` of the hour before."""

    grid: Grid = TINY
    missing: tuple[datetime, ...] = ()
    refused: tuple[datetime, ...] = ()
    copies: tuple[datetime, ...] = ()
    seed: int = 0
    unobserved_rows: int = 3
    """Rows from the south without observed rain."""
    seen: list[datetime] = field(default_factory=list, compare=False)

    def describe(self) -> str:
        return f"numbers, seed {self.seed}"

    def values(self, time: datetime) -> np.ndarray:
        """t2m, u10m, v10m, tp01 (variable, y, x), a smooth change an hour of a pattern of its own."""
        if time in self.copies:
            return self.values(time - timedelta(hours=1))
        hour = int(time.timestamp() // 3600)
        rng = np.random.default_rng([self.seed, hour])
        noise = rng.standard_normal((4, *self.grid.shape))
        fields = np.array([295.0, -1.0, -3.0, 0.0])[:, None, None] + noise
        fields[3] = np.maximum(rng.gamma(0.5, 4.0, self.grid.shape) - 0.5, 0.0)
        return fields.astype(np.float32)

    def rain_source(self) -> np.ndarray:
        source = np.ones(self.grid.shape, np.int8)
        source[: self.unobserved_rows] = 2
        return source

    def background(self, time: datetime) -> np.ndarray:
        rng = np.random.default_rng([self.seed + 1, int(time.timestamp() // 3600)])
        return np.stack([_driver(v.id) * (1 + 1e-3 * rng.standard_normal(COARSE.shape)) for v in BACKGROUND]).astype(
            np.float32
        )

    def km_scale(self, times: Sequence[datetime]) -> dict[datetime, KmScale | NotReady | BadInput]:
        found: dict[datetime, KmScale | NotReady | BadInput] = {}
        for time in times:
            self.seen.append(time)
            address = f"numbers/{time:%Y%m%dT%H}"
            if time in self.missing:
                found[time] = NotReady(f"{address}: not there yet")
            elif time in self.refused:
                found[time] = BadInput(f"{address}: is refused")
            else:
                used = (Used(address, f"sha256:{self.seed}-{time:%Y%m%d%H}", 1, 0),)
                values = self.values(time)
                found[time] = KmScale(
                    values, self.rain_source(), self.ground(time)["orog"], used, True, address, address
                )
        return found

    def large_scale(self, times: Sequence[datetime]) -> dict[datetime, LargeScale | NotReady | BadInput]:
        return {time: LargeScale(self.background(time), COARSE, (), True, f"background/{time}") for time in times}

    def ground(self, time: datetime) -> dict[str, np.ndarray]:
        return {"orog": np.zeros(self.grid.shape, np.float32), "lsm": np.ones(self.grid.shape, np.float32)}


def _driver(variable_id: str) -> float:
    return HEIGHTS.get(variable_id) or MIDDLE.get(variable_id) or MIDDLE[variable_id[0]]


# --- providers' files, written without the simulation --------------------------------------------------------------

LATITUDE, LONGITUDE = np.linspace(22.9, 23.6, 36), np.linspace(120.4, 121.1, 36)
ERA5_LATITUDE, ERA5_LONGITUDE = np.arange(26.0, 20.9, -0.25), np.arange(118.0, 124.1, 0.25)


def height() -> np.ndarray:
    y, x = np.meshgrid(LATITUDE, LONGITUDE, indexing="ij")
    return 1500 + 1400 * np.sin(9 * y) * np.cos(9 * x)


def air(time: datetime) -> dict[str, np.ndarray]:
    """RWRP's t2m, u10m and v10m of an hour (36, 36), linear in latitude and longitude: bilinear is exact on them."""
    rng = np.random.default_rng([7, int(time.timestamp() // 3600)])
    y, x = np.meshgrid(LATITUDE - 23.2, LONGITUDE - 120.7, indexing="ij")
    a = rng.standard_normal((3, 3))
    middle = {"t2m": 296.0, "u10m": -2.0, "v10m": -3.0}
    return {v: middle[v] + a[n, 0] + 2 * a[n, 1] * y + 2 * a[n, 2] * x for n, v in enumerate(middle)}


def rain_of(time: datetime) -> float:
    """Rain of an hour, mm, the same at every point: conservative regridding is exact on it."""
    return round(float(np.random.default_rng([8, int(time.timestamp() // 3600)]).gamma(1.0, 4.0)), 2)


def write_wrf(root: Path, time: datetime, *, stamped: datetime | None = None, **fields: np.ndarray) -> Path:
    """Write an hour of RWRP's training archive on a latitude-longitude grid; `stamped` is the time inside."""
    y, x = np.meshgrid(LATITUDE, LONGITUDE, indexing="ij")
    found = air(stamped or time)
    values = {"XLAT": y, "XLONG": x, "HGT": height(), "LANDMASK": np.ones_like(y), "T2": found["t2m"]}
    values |= {"umet10": found["u10m"], "vmet10": found["v10m"]} | fields
    path = root / f"wrfout_d01_{time:%Y-%m-%d_%H}_interp"
    with netcdf_file(path, "w", version=2) as file:
        file.TITLE, file.MAP_PROJ, file.POLE_LAT = "HAND MADE", 6, 90.0
        file.SIMULATION_START_DATE = f"{FIRST:%Y-%m-%d}_00:00:00"
        for name, size in {"Time": 1, "DateStrLen": 19, "south_north": 36, "west_east": 36}.items():
            file.createDimension(name, size)
        stamp = file.createVariable("Times", "c", ("Time", "DateStrLen"))
        stamp[0] = np.frombuffer(f"{stamped or time:%Y-%m-%d_%H:%M:%S}".encode(), "S1")
        for name, array in values.items():
            file.createVariable(name, "f4", ("Time", "south_north", "west_east"))[0] = array
    return path


_ROWS: list[str] = []


def write_rain(root: Path, time: datetime, amount: float, *, unobserved_south_of: float = 23.1) -> Path:
    """Write an hour of QPEPRE: one amount everywhere, -1 in the south."""
    longitude, latitude = 120.0 + 0.0125 * np.arange(162), 21.8875 + 0.0125 * np.arange(275)
    if not _ROWS:
        points = ((x, y) for y in latitude for x in longitude)
        _ROWS.extend(f"{number} {x:.4f} {y:.4f} " for number, (x, y) in enumerate(points, 1))
    south = int(np.count_nonzero(latitude < unobserved_south_of)) * longitude.size
    missing, known = (f"{value:.2f}\n" for value in (-1.0, amount))
    text = missing.join([*_ROWS[:south], ""]) + known.join([*_ROWS[south:], ""])
    path = root / f"qpepre_{time - timedelta(hours=1):%Y%m%d%H%M}-{time:%Y%m%d%H%M}_1_h.txt"
    path.write_text(text)
    return path


def drivers(time: datetime, variable_id: str) -> np.ndarray:
    """ERA5's field of an hour (21, 25), north to south."""
    number = BACKGROUND.ids.index(variable_id)
    rng = np.random.default_rng([9, number, int(time.timestamp() // 3600)])
    return _driver(variable_id) * (1 + 1e-3 * rng.standard_normal((ERA5_LATITUDE.size, ERA5_LONGITUDE.size)))


def write_era5(root: Path, day: date, damage: Mapping[tuple[int, str], np.ndarray] | None = None) -> Path:
    """Write a day of ERA5 as the Climate Data Store gives it; `damage` replaces fields by (hour, variable)."""
    times = [datetime(day.year, day.month, day.day, hour, tzinfo=UTC) for hour in range(24)]
    levels = [1000, 850, 500, 250]
    path = root / f"era5_{day:%Y%m%d}.nc"
    with h5netcdf.File(path, "w") as file:
        axes = {"valid_time": np.array([int(t.timestamp()) for t in times]), "pressure_level": np.array(levels, "f8")}
        axes |= {"latitude": ERA5_LATITUDE, "longitude": ERA5_LONGITUDE}
        for name, values in axes.items():
            file.dimensions[name] = values.size
            file.create_variable(name, (name,), values.dtype, data=values)
        file["valid_time"].attrs["units"] = "seconds since 1970-01-01"
        surface = {"msl": "msl", "t2m": "t2m", "u10m": "u10", "v10m": "v10"}

        def of(hour: int, variable_id: str) -> np.ndarray:
            return (damage or {}).get((hour, variable_id), drivers(times[hour], variable_id))

        for ours, theirs in surface.items():
            data = np.stack([of(hour, ours) for hour in range(24)]).astype("f4")
            file.create_variable(theirs, ("valid_time", "latitude", "longitude"), "f4", data=data)
        for letter in "qtuvz":
            data = np.stack([np.stack([of(hour, f"{letter}{level}") for level in levels]) for hour in range(24)])
            dims = ("valid_time", "pressure_level", "latitude", "longitude")
            file.create_variable(letter, dims, "f4", data=data.astype("f4"))
    return path


def provider_archive(root: Path) -> ProviderArchive:
    """The archive of files below `root`: rwrp, qpepre, era5."""
    return ProviderArchive(
        TINY,
        STATE,
        BACKGROUND,
        atmosphere=Feed(RwrpTraining(Folder(str(root / "rwrp")))),
        rain=Feed(Qpepre(Folder(str(root / "qpepre")), "utc", "end")),
        background=Feed(Era5Cds(Folder(str(root / "era5")), ("era5_%Y%m%d.nc",), TINY)),
    )


def write_archive(root: Path, count: int, *, hour_before: bool = True) -> None:
    """Write whole days from FIRST on, and what their neighbours need."""
    for name in ("rwrp", "qpepre", "era5"):
        (root / name).mkdir(parents=True)
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    for hour in range(-int(hour_before), 24 * count):
        time = start + timedelta(hours=hour)
        write_wrf(root / "rwrp", time)
        write_rain(root / "qpepre", time, rain_of(time))
    for day in range(-1, count + 1):
        write_era5(root / "era5", FIRST + timedelta(days=day))


PROVIDERS = Providers(background="era5_cds")
