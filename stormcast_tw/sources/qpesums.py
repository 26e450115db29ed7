"""QPESUMS binary `.gz`: radar-and-gauge rain of the past hour, and composite reflectivity.

Layout: data-formats.md 1.3, verified there on real files. The header gives the north-west corner, the rows run
from south to north; points are cell centres; the time stamp is UTC and, for rain, the end of the hour.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from stormcast_tw.cycle import as_utc
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.sources.base import Located, Reading, require_times, require_variables
from stormcast_tw.sources.translate.datum import Datum
from stormcast_tw.sources.translate.observation import NO_ECHO_DBZ, Field, even_grid, read_fields
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import VariableSet

LARGEST_BYTES = 8 << 20
"""Most uncompressed bytes of a file: 16 times the 441 x 561 product."""

SIMULATED_RADAR = b"SIMU"
"""The radar that simulated files name."""

_HEADER = struct.Struct("<9i4s10i 3i9i 20s6s 3i")


class Header(NamedTuple):
    """The header of a file of one level (nz = 1), 166 bytes, in file order."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    nx: int
    ny: int
    nz: int
    projection: bytes
    map_scale: int
    projection_latitude_1: int
    projection_latitude_2: int
    projection_longitude: int
    west: int
    north: int
    xy_scale: int
    dx: int
    dy: int
    dxy_scale: int
    height: int
    z_scale: int
    i_bb_mode: int
    reserved: tuple[int, ...]
    variable: bytes
    unit: bytes
    var_scale: int
    missing: int
    radars: int


@dataclass(frozen=True)
class Product:
    """One product: the name its files begin with, our variable, its unit, and the physical value for "no echo".

    The header gives the value for missing data: -1 mm of rain; -999 dBZ outside coverage. In the reflectivity -99 is an
    observation: no echo. (The open data O-A0059-001 use -99 for "missing or invalid": `opendata.py`.)
    """

    file_name: str
    variable_id: str
    unit: bytes
    no_echo: int | None = None


RAIN = Product("CB_GC_PCP_1H_RAD", "tp01", b"mm")
REFLECTIVITY = Product("COMPREF", "refc", b"dBZ", -99)


def path(valid_time: datetime, product: Product = RAIN) -> str:
    """Return the path of the product of a valid time (for rain: the end of the hour), below the provider's root."""
    return f"{valid_time:%Y%m%d}/{product.file_name}.{valid_time:%Y%m%d.%H%M}.gz"


@dataclass(frozen=True)
class Qpesums:
    """Observed rain of the hour ending at a time: tp01, mm; or, by `product`, composite reflectivity: refc, dBZ.

    NaN where there is no observation; NO_ECHO_DBZ where the radars saw no echo.
    """

    folder: Folder
    product: Product = RAIN
    datum: Datum = "wgs84"
    name: str = "qpesums"

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find one file per valid time, in the same order.

        Raises NotReady if one is absent, BadInput for any variable but the product's, ValueError for naive or
        unsorted times.
        """
        require_variables(self.name, (self.product.variable_id,), variables)
        times = require_times(self.name, valid_times)
        files = tuple(self.folder.find(path(time, self.product)) for time in times)
        return Located(self.name, files, times, variables)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, latitude, longitude) float32, NaN where missing.

        Raises NotReady if a file has changed since, BadInput for anything that is not this product at this time.
        """

        def decode_product(packed: bytes, address: str, valid_time: datetime) -> Field:
            return decode(packed, address, valid_time, self.product)

        return read_fields(located, lambda file: self.folder, decode_product, LARGEST_BYTES, self.datum)


def decode(packed: bytes, address: str, valid_time: datetime, product: Product = RAIN) -> Field:
    """Decode the bytes of one `.gz`.

    A simulated file names the radar `SIMU`, which no network has.
    Raises BadInput for an incomplete gzip file, or a header value that the product does not allow.
    """
    data = _unpack(packed, address)
    if len(data) < _HEADER.size:
        raise BadInput(f"{address}: {len(data)} bytes unpacked; allowed no fewer than the header's {_HEADER.size}")
    values = _HEADER.unpack_from(data)
    header = Header._make((*values[:23], values[23:32], *values[32:]))
    _check_time(header, address, valid_time)
    grid = _grid(header, address, product)
    offset = _HEADER.size + 4 * header.radars
    expected = offset + 2 * header.nx * header.ny
    if len(data) != expected:
        raise BadInput(
            f"{address}: {len(data)} bytes unpacked; its header ({header.nx} x {header.ny}) allows {expected}"
        )
    raw = np.frombuffer(data, "<i2", offset=offset).reshape(header.ny, header.nx)
    physical = raw.astype(np.float32) / np.float32(header.var_scale)
    if product.no_echo is not None:
        physical[raw == product.no_echo * header.var_scale] = NO_ECHO_DBZ
    physical[raw == header.missing * header.var_scale] = np.nan
    return Field(physical, grid, SIMULATED_RADAR in data[_HEADER.size : offset])


def _unpack(packed: bytes, address: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            data = stream.read(LARGEST_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{address}: {len(packed)} bytes are not a whole gzip file ({error})") from error
    if len(data) > LARGEST_BYTES:
        raise BadInput(f"{address}: unpacks to more than {LARGEST_BYTES} bytes; allowed {LARGEST_BYTES}")
    return data


def _check_time(header: Header, address: str, valid_time: datetime) -> None:
    try:
        header_time = datetime(*header[:6], tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"{address}: header time {header[:6]} is not a time") from None
    if header_time != as_utc(valid_time):
        raise BadInput(
            f"{address}: header time is {header_time:%Y-%m-%d %H:%M:%S} UTC;"
            f" allowed {as_utc(valid_time):%Y-%m-%d %H:%M:%S} UTC"
        )


def _grid(header: Header, address: str, product: Product) -> Grid:
    """Check every header value that positions or scales the data; return the grid."""
    for name, found, allowed, good in (
        ("nz", header.nz, "1", header.nz == 1),
        ("proj", header.projection, "b'LL'", header.projection.rstrip(b"\0 ") == b"LL"),
        ("nx", header.nx, "2 to 4096", 2 <= header.nx <= 4096),
        ("ny", header.ny, "2 to 4096", 2 <= header.ny <= 4096),
        ("map_scale", header.map_scale, "above 0", header.map_scale > 0),
        ("xy_scale", header.xy_scale, f"map_scale, {header.map_scale}", header.xy_scale == header.map_scale),
        ("dxy_scale", header.dxy_scale, "above 0", header.dxy_scale > 0),
        ("dx", header.dx, "above 0", header.dx > 0),
        ("dy", header.dy, "above 0", header.dy > 0),
        (
            "varunit",
            header.unit,
            f"{product.unit!r}",
            header.unit.split(b"\0")[0].strip().lower() == product.unit.lower(),
        ),
        ("var_scale", header.var_scale, "1 to 1000", 1 <= header.var_scale <= 1000),
        ("missing", header.missing, "below 0", header.missing < 0),
        ("nradar", header.radars, "0 to 1000", 0 <= header.radars <= 1000),
    ):
        if not good:
            raise BadInput(f"{address}: header's {name} is {found!r}; allowed {allowed}")
    dx, dy = header.dx / header.dxy_scale, header.dy / header.dxy_scale
    south = header.north / header.map_scale - (header.ny - 1) * dy
    return even_grid(address, header.west / header.map_scale, south, header.nx, header.ny, dx, dy)
