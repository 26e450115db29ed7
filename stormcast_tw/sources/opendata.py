"""CWA open data: gridded QPESUMS rain (O-B0045-001) and composite reflectivity (O-A0059-001), JSON or XML.

A key of the bucket, such as `Observation/O-B0045-001.json`, has no date and is overwritten in place every ten minutes:
`find` looks at what it holds now. Earlier documents are read from the archive that `opendata_archive` fills.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

import numpy as np

from stormcast_tw.cycle import as_utc
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.sources.base import Located, Reading, require_times, require_variables
from stormcast_tw.sources.formats.numbers_in_text import read_numbers
from stormcast_tw.sources.opendata_document import aware_time, parse
from stormcast_tw.sources.translate.datum import Datum
from stormcast_tw.sources.translate.observation import Field, read_fields
from stormcast_tw.storage.provider_files import Folder, Reader, SourceFile
from stormcast_tw.variables import VariableSet

LARGEST_BYTES = 64 << 20
"""Most bytes of a document: seven times the reflectivity."""

HEAD_BYTES = 4096
"""Enough to hold a document's time, which comes before its numbers."""

_TIME = re.compile(rb'"DateTime"\s*:\s*"([^"]*)"|<DateTime>([^<]*)</DateTime>')


@dataclass(frozen=True)
class Product:
    """One data set: its id, our variable, the name and value of its unit, and the numbers that mean "no data".

    In O-A0059-001 -99 is "missing or invalid" and -999 outside coverage or removed by quality control, so both become
    NaN; in the binary COMPREF -99 is an observation, no echo (data-formats.md 1.2 and 1.3). This product has no
    number for "no echo".
    """

    data_id: str
    variable_id: str
    measure: str
    unit: str
    no_data: tuple[float, ...]


PRODUCTS = {
    product.data_id: product
    for product in (
        Product("O-B0045-001", "tp01", "Precipitation", "mm", (-1.0,)),
        Product("O-A0059-001", "refc", "Reflectivity", "dBZ", (-99.0, -999.0)),
    )
}

RAIN_KEY = "Observation/O-B0045-001.json"
REFLECTIVITY_KEY = "Observation/O-A0059-001.json"


def product_of(key: str) -> Product:
    """Return the product that a key of the bucket holds; raises ValueError for any other key."""
    data_id = PurePosixPath(key).stem
    if data_id not in PRODUCTS:
        raise ValueError(f"{key}: allowed a key of {', '.join(PRODUCTS)}")
    return PRODUCTS[data_id]


def archived_path(key: str, valid_time: datetime) -> str:
    """Return the path in the archive of what `key` held for a valid time."""
    name, utc = PurePosixPath(key), as_utc(valid_time)
    return f"{name.stem}/{utc:%Y%m%d}/{name.stem}.{utc:%Y%m%d.%H%M}{name.suffix}"


@dataclass(frozen=True)
class OpenData:
    """What one key holds: tp01, mm in the hour ending at a time, or refc, dBZ; NaN where there is no observation.

    `kept` is the archive of earlier documents.
    """

    folder: Folder
    key: str = RAIN_KEY
    kept: Folder | None = None
    datum: Datum = "wgs84"
    name: str = "qpe_open_data"

    def __post_init__(self) -> None:
        product_of(self.key)

    @property
    def product(self) -> Product:
        """What the key holds."""
        return product_of(self.key)

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find one file per valid time: the archived copy, or else what the key holds now, if it is of that time.

        Never lists: two requests per time, whatever else the bucket holds. Raises NotReady, saying which time the key
        holds instead, BadInput for another variable or a key that holds no such document, ValueError for naive or
        unsorted times.
        """
        require_variables(self.name, (self.product.variable_id,), variables)
        times = require_times(self.name, valid_times)
        return Located(self.name, tuple(self._find(time) for time in times), times, variables)

    def _find(self, valid_time: datetime) -> SourceFile:
        if self.kept is not None:
            with contextlib.suppress(NotReady):
                return self.kept.find(archived_path(self.key, valid_time))
        file = self.folder.find(self.key)
        with self.folder.open(file) as reader:
            holds = time_of(reader, self.product)
        if holds != valid_time:
            kept = "" if self.kept is None or holds < valid_time else " and that time was not kept"
            raise NotReady(
                f"{file.address}: holds {holds:%Y-%m-%d %H:%M} UTC, asked {valid_time:%Y-%m-%d %H:%M} UTC{kept}"
            )
        return file

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: (valid_time, latitude, longitude) float32, NaN where there is no
        observation.

        Raises NotReady if a key was overwritten since, BadInput for anything that is not this product at this time.
        """

        def folder_of(file: SourceFile) -> Folder:
            of_archive = self.kept is not None and file.address.startswith(f"{self.kept.root}/")
            return self.kept if self.kept is not None and of_archive else self.folder

        def decode_product(data: bytes, address: str, valid_time: datetime) -> Field:
            return decode(data, address, valid_time, self.product)

        return read_fields(located, folder_of, decode_product, LARGEST_BYTES, self.datum)


def time_of(reader: Reader, product: Product) -> datetime:
    """Return the valid time, UTC, of a document, if possible from its first bytes; raises BadInput."""
    head = reader.read(0, min(reader.size, HEAD_BYTES), index=True)
    match = _TIME.search(head)
    if match is not None:
        text = (match[1] or match[2] or b"").decode("ascii", "backslashreplace")
        return aware_time(text, "DateTime", reader.address)
    if reader.size > LARGEST_BYTES:
        raise BadInput(f"{reader.address}: has {reader.size} bytes; allowed {LARGEST_BYTES}")
    whole = reader.read(0, reader.size, index=True)
    return parse(whole, product.measure, reader.address).valid_time


def decode(data: bytes, address: str, valid_time: datetime, product: Product) -> Field:
    """Decode one document. Its numbers run west to east fastest, then south to north, from the south-west corner.

    Raises BadInput for a document of another product, time or unit, and for anything but nx * ny finite numbers.
    """
    document = parse(data, product.measure, address)
    for name, found, allowed in (
        ("dataid", document.data_id or product.data_id, product.data_id),
        ("unit", document.unit.strip(), product.unit),
        ("time", document.valid_time.isoformat(), as_utc(valid_time).isoformat()),
    ):
        if found != allowed:
            raise BadInput(f"{address}: {name} is {found[:40]!r}; allowed {allowed!r}")
    grid = document.grid
    values = read_numbers(document.content, grid.ny * grid.nx, "content", address)
    values[np.isin(values, product.no_data)] = np.nan
    return Field(values.reshape(grid.shape), grid, document.simulated)
