"""Small provider files, written here independently of the readers and of the simulation."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import eccodes
import netCDF4
import numpy as np
import pytest
from pyproj import Proj

from stormcast_tw.sources.base import Located
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real provider files beside the repository."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "samples"
    if not folder.is_dir():
        pytest.skip("no real provider files: ../shared/samples is absent")
    return folder


@pytest.fixture
def located() -> Callable[..., Located]:
    """Build what `find` returns, for files named by the test."""

    def build(
        source: str,
        paths: Sequence[Path],
        times: Sequence[datetime],
        ids: Sequence[str],
        init_time: datetime | None = None,
    ) -> Located:
        files = tuple(Folder(str(path.parent)).find(path.name) for path in paths)
        return Located(source, files, tuple(times), variable_set("asked", *ids), init_time)

    return build


class WrfoutWriter:
    """A wrfout file on a Lambert 10/40/120 or a Mercator grid of 6-km cells that covers Taiwan, as WRF lays it out."""

    ny, nx, spacing = 110, 90, 6000.0

    def __init__(self, map_proj: int = 1) -> None:
        self.map_proj = map_proj
        lambert = {"proj": "lcc", "lat_1": 10, "lat_2": 40, "lat_0": 23.8, "lon_0": 120, "R": 6370000}
        mercator = {"proj": "merc", "lat_ts": 20, "lon_0": 120, "R": 6370000}
        self.proj = Proj(lambert if map_proj == 1 else mercator)
        x0, y0 = self.proj(121.0, 23.6)
        self.x = x0 + self.spacing * (np.arange(self.nx) - self.nx // 2)
        self.y = y0 + self.spacing * (np.arange(self.ny) - self.ny // 2)
        self.longitude, self.latitude = self.proj(*np.meshgrid(self.x, self.y), inverse=True)
        # cone of two standard parallels (Snyder 1987, eq. 15-3) and WRF's alpha (WPS module_map_utils)
        phi = np.radians([10.0, 40.0])
        tangents = np.tan(np.pi / 4 + phi / 2)
        self.cone = np.log(np.cos(phi[0]) / np.cos(phi[1])) / np.log(tangents[1] / tangents[0])
        alpha = np.radians(self.cone * (120.0 - self.longitude)) if map_proj == 1 else 0 * self.longitude
        self.cos_alpha, self.sin_alpha = np.cos(alpha), np.sin(alpha)

    def fields(self) -> dict[str, np.ndarray]:
        """Believable fields, float64 (ny, nx), none of them constant."""
        j, i = np.meshgrid(np.linspace(-1, 1, self.ny), np.linspace(-1, 1, self.nx), indexing="ij")
        return {
            "XLAT": self.latitude,
            "XLONG": self.longitude,
            "COSALPHA": self.cos_alpha,
            "SINALPHA": self.sin_alpha,
            "U10": 10 + 5 * i,
            "V10": -20 + 5 * j,
            "T2": 295 + 5 * j,
            "PSFC": 100000 - 2000 * (1 + i),
            "HGT": 500 + 400 * i * j,
            "LANDMASK": (i > 0).astype(float),
            "RAINC": 1 + 0 * i,
            "RAINNC": 2 + i,
            "RAINSH": 0 * i,
        }

    def write(
        self,
        path: Path,
        init_time: datetime,
        times: Sequence[datetime],
        *,
        fields: Mapping[str, np.ndarray | float] | None = None,
        attributes: Mapping[str, object] | None = None,
        without: Sequence[str] = (),
    ) -> Path:
        """Write the file; `fields` (ny, nx) or (times, ny, nx) replace or add, `without` leaves out."""
        path.parent.mkdir(parents=True, exist_ok=True)
        everything = {**self.fields(), **(fields or {})}
        with netCDF4.Dataset(path, "w") as out:
            for name, length in (("Time", None), ("south_north", self.ny), ("west_east", self.nx), ("DateStrLen", 19)):
                out.createDimension(name, length)
            written = {
                "TITLE": " OUTPUT FROM A TEST",
                "SIMULATION_START_DATE": f"{init_time:%Y-%m-%d_%H:%M:%S}",
                "MAP_PROJ": np.int32(self.map_proj),
                "DX": np.float32(self.spacing),
                "DY": np.float32(self.spacing),
                "TRUELAT1": np.float32(10 if self.map_proj == 1 else 20),
                "TRUELAT2": np.float32(40),
                "STAND_LON": np.float32(120),
                "MOAD_CEN_LAT": np.float32(23.8),
                "CEN_LAT": np.float32(10.0),  # of a crop: says nothing about these points
                "BUCKET_MM": np.float32(-1),
            } | dict(attributes or {})
            out.setncatts({name: value for name, value in written.items() if name not in without})
            stamps = np.array([list(f"{time:%Y-%m-%d_%H:%M:%S}") for time in times], dtype="S1")
            out.createVariable("Times", "S1", ("Time", "DateStrLen"))[:] = stamps
            for name, values in everything.items():
                if name not in without:
                    kind = "i4" if name.startswith("I_RAIN") else "f4"
                    shape = (len(times), self.ny, self.nx)
                    out.createVariable(name, kind, ("Time", "south_north", "west_east"))[:] = np.broadcast_to(
                        values, shape
                    )
        return path


@pytest.fixture(scope="session")
def lambert() -> WrfoutWriter:
    return WrfoutWriter(1)


@pytest.fixture(scope="session")
def mercator() -> WrfoutWriter:
    return WrfoutWriter(3)


@pytest.fixture
def write_qpesums() -> Callable[..., Path]:
    """Write a QPESUMS binary: `raw` int16 (ny, nx), rows south to north; keywords replace header numbers."""

    def write(path: Path, raw: np.ndarray, time: datetime, *, cut: int = 0, **header: object) -> Path:
        ny, nx = raw.shape
        h = {"ny": ny, "nx": nx, "nz": 1, "proj": b"LL  ", "map_scale": 100, "alon": 11950, "alat": 2600} | {
            "xy_scale": 100, "dx": 1250, "dy": 1250, "dxy_scale": 100000, "unit": b"mm\0XY\0",
            "var_scale": 4, "missing": -1, "nradar": 1, "radars": b"none", "clock": time.timetuple()[:6],
        } | header  # fmt: skip
        data = struct.pack("<9i", *h["clock"], h["nx"], h["ny"], h["nz"]) + h["proj"]
        data += struct.pack("<5i", h["map_scale"], 3000, 6000, 12075, h["alon"])
        data += struct.pack("<5i", h["alat"], h["xy_scale"], h["dx"], h["dy"], h["dxy_scale"])
        data += struct.pack("<i2i9i", 0, 1, 0, *[0] * 9) + struct.pack("<20s6s", b"CB_1H_GC Acc\0junk", h["unit"])
        data += struct.pack("<3i", h["var_scale"], h["missing"], h["nradar"]) + h["radars"]
        data += raw.astype("<i2").tobytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data[: len(data) - cut]))
        return path

    return write


SURFACE = {"2t": 295.0, "10u": 3.0, "10v": -4.0, "msl": 101000.0, "sp": 99000.0, "tcwv": 40.0}
LEVELS = {
    "q": {1000: 0.015, 850: 0.010, 500: 0.002, 250: 1.5e-4},
    "t": {1000: 297.0, 850: 289.0, 500: 267.0, 250: 233.0},
    "u": dict.fromkeys((1000, 850, 500, 250), 5.0),
    "v": dict.fromkeys((1000, 850, 500, 250), -5.0),
    "z": {1000: 1100.0, 850: 14800.0, 500: 57400.0, 250: 107400.0},
}
FieldOf = Callable[[str, np.ndarray, np.ndarray], np.ndarray]


def grib_message(
    key: tuple[str, int | None],
    values: np.ndarray,
    latitude: Sequence[float],
    longitude: Sequence[float],
    init_time: datetime,
    lead_hours: int,
    edition: int = 2,
    holes: int = 0,
    **keys: int | str,
) -> bytes:
    """One message, rows and columns in the order of the axes given (first to last)."""
    short_name, level = key
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_{'pl' if level else 'sfc'}_grib{edition}")
    settings: dict[str, int | str | float] = {
        "centre": "ecmf",
        "dataDate": int(f"{init_time:%Y%m%d}"),
        "dataTime": int(f"{init_time:%H%M}"),
        "Ni": len(longitude),
        "Nj": len(latitude),
        "iScansNegatively": 0,
        "jScansPositively": int(latitude[-1] > latitude[0]),
        "latitudeOfFirstGridPointInDegrees": latitude[0],
        "latitudeOfLastGridPointInDegrees": latitude[-1],
        "longitudeOfFirstGridPointInDegrees": longitude[0] % 360,
        "longitudeOfLastGridPointInDegrees": longitude[-1] % 360,
        "iDirectionIncrementInDegrees": abs(longitude[1] - longitude[0]),
        "jDirectionIncrementInDegrees": abs(latitude[1] - latitude[0]),
        "shortName": short_name,
        **({"level": level} if level else {}),
        "step": lead_hours,
        "bitsPerValue": 24,
        **keys,
    }
    try:
        for name, value in settings.items():
            eccodes.codes_set(handle, name, value)
        packed = values.astype(float).ravel()
        if holes:
            eccodes.codes_set(handle, "bitmapPresent", 1)
            eccodes.codes_set(handle, "missingValue", -1e9)
            packed[:holes] = -1e9
        eccodes.codes_set_values(handle, packed)
        message: bytes = eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)
    return message


class GribWriter:
    """An EC-pangu file: 24 and more messages on a 1-degree window round Taiwan, linear in latitude and longitude."""

    latitude = np.arange(30.0, 17.0, -1.0)
    longitude = np.arange(115.0, 128.0, 1.0)

    def value(
        self, key: tuple[str, int | None], hour: float, latitude: np.ndarray, longitude: np.ndarray
    ) -> np.ndarray:
        """Linear in time and place, a thousandth of the mean a degree and an hour."""
        mean = SURFACE[key[0]] if key[1] is None else LEVELS[key[0]][key[1]]
        return mean * (1 + 1e-3 * (latitude - 23) + 2e-3 * (longitude - 121) + 5e-4 * hour)

    @property
    def keys(self) -> list[tuple[str, int | None]]:
        return [(name, None) for name in SURFACE] + [(n, level) for n, levels in LEVELS.items() for level in levels]

    def message(
        self, key, init_time: datetime, lead: int, *, factor: float = 1.0, since: datetime = T, **keys
    ) -> bytes:
        latitude, longitude = keys.pop("latitude", self.latitude), keys.pop("longitude", self.longitude)
        hour = (init_time + timedelta(hours=lead) - since) / timedelta(hours=1)
        lon, lat = np.meshgrid(longitude, latitude)
        values = factor * self.value(key, hour, lat, np.mod(lon, 360))
        return grib_message(key, values, latitude, longitude, init_time, lead, **keys)

    def write(self, path: Path, init_time: datetime, lead: int, *, without=(), factors=None, extra=b"", **keys) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        factors = factors or {}
        chosen = [key for key in self.keys if key not in without]
        messages = [self.message(k, init_time, lead, factor=factors.get(k[0], 1.0), **keys) for k in chosen]
        path.write_bytes(b"".join(messages) + extra)
        return path


@pytest.fixture(scope="session")
def pangu() -> GribWriter:
    return GribWriter()


@pytest.fixture
def truncate() -> Callable[[Path, int], None]:
    """Cut bytes off the end of a file."""

    def cut(path: Path, count: int) -> None:
        os.truncate(path, path.stat().st_size - count)

    return cut
