"""QPEPRE: hourly QPESUMS rain as text, `qpepre_YYYYMMDDHHMM-YYYYMMDDHHMM_1_h.txt`, one row per point: idx lon lat mm.

162 x 275 points, 0.0125 degree apart (data-formats.md 2.3); outside them nothing is known, and nothing is filled in.
Neither the time zone of the two times in the name nor which of them ends the hour of rain is documented: both are
arguments without a default (`qpepre_clock` tests the choices against a model's rain). The text itself has no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal

import numpy as np
import numpy.typing as npt

from stormcast_tw.cycle import as_utc, hours
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.clock import TAIPEI
from stormcast_tw.sources.base import Located, Reading, require_times, require_variables
from stormcast_tw.sources.formats.numbers_in_text import read_numbers
from stormcast_tw.sources.translate.datum import Datum
from stormcast_tw.sources.translate.observation import Field, read_fields
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import VariableSet

FloatArray = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.intp]

Clock = Literal["utc", "taipei"]
Stamp = Literal["end", "start"]

CLOCKS: Mapping[Clock, tzinfo] = {"utc": UTC, "taipei": TAIPEI}
STAMPS: tuple[Stamp, ...] = ("end", "start")

GRID = Grid("QPEPRE", 21.8875, 25.3125, 275, 120.0, 122.0125, 162)
LARGEST_BYTES = 8 << 20
"""Most bytes of a file: six times a file of today's precision."""

MISSING = -1.0
"""mm. The no-data value in every other form of QPESUMS (data-formats.md 1.2, 1.3). Other negatives below -0.1 are
refused."""

SIMULATED = b"# SIMULATED"
"""Lines that begin with # before the first row are comments; this one marks a simulated file."""

_OFF_GRID = 0.05
"""How far, in cells, a point may lie off the grid: the rounding of degrees to three decimals."""

_COLUMNS = 4
_NEWLINE, _BLANK, _POINT, _MINUS, _ZERO = b"\n .-0"
_BLOCK = 1 << 16
"""Bytes processed at a time, few enough to stay in the processor's cache."""

_LONGEST = 11
"""Characters examined from the end of a row: a number of ten digits and signs, which fits 32 bits, and a blank."""


def path(valid_time: datetime, clock: Clock, stamp: Stamp) -> str:
    """Return the path of the rain in the hour ending at `valid_time`, below the provider's root.

    `clock` is the time zone of the two times in the name. `stamp` says which of the two is the end of the hour
    of rain: `end`, the second, as the name reads; or `start`, the first, if the name begins with the product's own
    time, which for every other form of QPESUMS is the end of the hour.
    """
    end = as_utc(valid_time).astimezone(CLOCKS[clock]) + (hours(1) if stamp == "start" else hours(0))
    return f"qpepre_{end - hours(1):%Y%m%d%H%M}-{end:%Y%m%d%H%M}_1_h.txt"


@dataclass(frozen=True)
class Qpepre:
    """Observed rain of the hour ending at a time: tp01, mm, NaN where there is no observation."""

    folder: Folder
    clock: Clock
    stamp: Stamp
    datum: Datum = "wgs84"
    name: str = "qpepre"

    def __post_init__(self) -> None:
        if self.clock not in CLOCKS or self.stamp not in STAMPS:
            raise ValueError(
                f"{self.name}: clock {self.clock!r}, stamp {self.stamp!r}; allowed {', '.join(CLOCKS)} and"
                f" {', '.join(STAMPS)}: say which, they are not guessed"
            )

    def find(
        self, valid_times: tuple[datetime, ...], variables: VariableSet, init_time: datetime | None = None
    ) -> Located:
        """Find one file per valid time, in the same order.

        Raises NotReady if one is absent, BadInput for a variable other than tp01, ValueError for naive or
        unsorted times.
        """
        require_variables(self.name, ("tp01",), variables)
        times = require_times(self.name, valid_times)
        files = tuple(self.folder.find(path(time, self.clock, self.stamp)) for time in times)
        return Located(self.name, files, times, variables)

    def read(self, located: Located) -> Reading:
        """Read the files that `find` returned: tp01 (valid_time, latitude, longitude) float32, mm, NaN where missing.

        Raises NotReady if a file has changed since, BadInput for anything that is not this product.
        """

        def decode_rows(data: bytes, address: str, valid_time: datetime) -> Field:
            return decode(data, address)

        return read_fields(located, lambda file: self.folder, decode_rows, LARGEST_BYTES, self.datum)


def decode(data: bytes, address: str) -> Field:
    """Decode one file; its rows may come in any order, each point of the grid once.

    Raises BadInput for any other text, a wrong number of rows, or points that are not on the grid.
    """
    simulated = False
    while data.startswith(b"#"):
        comment, _, data = data.partition(b"\n")
        simulated |= comment.startswith(SIMULATED)
    longitude, latitude, rain = _regular_rows(data) or _any_rows(data, address)
    where = _places(longitude, latitude, address)
    field = np.empty(GRID.ny * GRID.nx)
    field[where] = rain
    field[field == MISSING] = np.nan
    return Field(field.reshape(GRID.shape), GRID, simulated)


def _places(longitude: FloatArray, latitude: FloatArray, address: str) -> Positions:
    """Return the row-major grid index of each point (arrays are broadcast); every grid point must occur once."""
    with np.errstate(over="ignore", invalid="ignore"):
        i, j = (longitude - GRID.x_first) / GRID.dx, (latitude - GRID.y_first) / GRID.dy
        near_i, near_j = np.abs(i - np.rint(i)) <= _OFF_GRID, np.abs(j - np.rint(j)) <= _OFF_GRID
    for name, values, near, index, count in (
        ("longitude", longitude, near_i, i, GRID.nx),
        ("latitude", latitude, near_j, j, GRID.ny),
    ):
        on_grid = near & (np.rint(index) >= 0) & (np.rint(index) <= count - 1)
        if not on_grid.all():
            stray = float(values[~on_grid].flat[0])
            raise BadInput(f"{address}: {name} {stray:.10g} is not a point of the grid; allowed {_axes()}")
    where = (np.rint(j).astype(np.intp) * GRID.nx + np.rint(i).astype(np.intp)).ravel()
    often = np.bincount(where, minlength=GRID.nx * GRID.ny)
    if often.max() > 1:
        row, column = divmod(int(often.argmax()), GRID.nx)
        raise BadInput(f"{address}: {GRID.x[column]:.4f} E {GRID.y[row]:.4f} N comes {often.max()} times; allowed once")
    return where


def _axes() -> str:
    return f"{GRID.x_first:g} to {GRID.x_last:g} E and {GRID.y_first:g} to {GRID.y_last:g} N every {GRID.dx:g}"


def _any_rows(data: bytes, address: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return longitude, latitude and rain of rows of any order, spacing and precision, each (rows,)."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadInput(f"{address}: byte {error.start} is {data[error.start]:#x}; allowed plain text") from None
    rows = GRID.nx * GRID.ny
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) != rows:
        raise BadInput(f"{address}: has {len(lines)} rows; allowed {rows}")
    numbers = read_numbers(text, _COLUMNS * rows, f"text of {rows} rows of {_COLUMNS}", address)
    columns = numbers.reshape(rows, _COLUMNS)
    return columns[:, 1], columns[:, 2], columns[:, 3]


def _regular_rows(data: bytes) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return what `_any_rows` would, many times faster, for text as regular as the provider's.

    Regular: one blank between columns, one precision per column, all longitudes of one length, all latitudes of one
    length, one of the two varying fastest. The two are returned as axes, to be broadcast. Returns None for any other
    text, valid or not. Every row is parsed from its end.
    """
    data = data if data.endswith(b"\n") else data + b"\n"
    text, rows = np.frombuffer(data, np.uint8), GRID.nx * GRID.ny
    ends: Positions = np.flatnonzero(text == _NEWLINE)
    first = data[: data.find(b"\n")].split(b" ")
    if ends.size != rows or len(first) != _COLUMNS or (parsed := _fixed_point(text, ends, first[3])) is None:
        return None
    rain, starts, negatives = parsed
    latitude_starts = starts - 1 - len(first[2])
    longitude_starts = latitude_starts - 1 - len(first[1])
    index_lengths = longitude_starts - 2 - np.concatenate(([-1], ends[:-1]))
    blanks = all((text[begin - 1] == _BLANK).all() for begin in (starts, latitude_starts, longitude_starts))
    if not blanks or index_lengths.min() < 1 or index_lengths.max() > _LONGEST:
        return None
    longitude = _tokens(text, longitude_starts, len(first[1]))
    latitude = _tokens(text, latitude_starts, len(first[2]))
    # per row: a decimal point in three columns, three blanks, a newline and no more, so the first is a whole number
    others = [_count_non_digits(longitude), _count_non_digits(latitude), _count_non_digits(text)]
    if others != [rows, rows, 7 * rows + negatives]:
        return None
    if (axes := _lattice(longitude, latitude, GRID.shape)) is not None:
        return axes[0][None, :], axes[1][:, None], rain
    if (axes := _lattice(latitude, longitude, GRID.shape[::-1])) is not None:
        return axes[1][:, None], axes[0][None, :], rain
    return None


def _tokens(text: Bytes, starts: Positions, length: int) -> Bytes:
    """Return the bytes at starts (rows, length)."""
    windows = np.lib.stride_tricks.sliding_window_view(text, length).view(f"V{length}")[:, 0]
    return windows[starts].view(np.uint8).reshape(-1, length)


def _count_non_digits(text: Bytes) -> int:
    """Return how many bytes are not digits, counted block by block."""
    flat = text.ravel()
    blocks = (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))
    return sum(int(np.count_nonzero(block - np.uint8(_ZERO) > 9)) for block in blocks)


def _lattice(fast: Bytes, slow: Bytes, shape: tuple[int, int]) -> tuple[FloatArray, FloatArray] | None:
    """Return both axes of tokens (rows, length) if, in this shape, `fast` repeats and `slow` is constant; else None."""
    along, across = fast[: shape[1]], slow[:: shape[1]]
    if fast.tobytes() != along.tobytes() * shape[0] or slow.tobytes() != np.repeat(across, shape[1], 0).tobytes():
        return None
    try:
        return _floats(along), _floats(across)
    except ValueError:
        return None


def _floats(tokens: Bytes) -> FloatArray:
    return np.ascontiguousarray(tokens).view(f"S{tokens.shape[1]}").astype(np.float64).ravel()


def _fixed_point(text: Bytes, ends: Positions, first: bytes) -> tuple[FloatArray, Positions, int] | None:
    """Return the numbers before `ends` (rows,), where each begins, and how many are negative.

    Returns None unless all have a blank before them, as many decimals as `first`, and a digit before the point.
    """
    decimals = len(first) - 1 - first.find(b".")
    if ends[0] < _LONGEST:
        return None
    places = np.ascontiguousarray(_tokens(text, ends - _LONGEST, _LONGEST).T[::-1])
    total, scratch = np.zeros(ends.size, np.int32), np.empty(ends.size, np.int32)
    length = np.zeros(ends.size, np.int8)
    negative, going = np.zeros(ends.size, bool), np.ones(ends.size, bool)
    for place, byte in enumerate(places):
        if place == decimals:
            if not (byte == _POINT).all():
                return None
            length += 1
            continue
        digit = byte - np.uint8(_ZERO)
        counts = (digit < 10) & going
        negative |= (byte == _MINUS) & going
        if not counts.all() and (place <= decimals + 1 or not (counts | negative | (byte == _BLANK) | ~going).all()):
            return None
        going = counts
        if not going.any():
            return np.where(negative, -total, total) / 10.0**decimals, ends - length - negative, int(negative.sum())
        total += np.multiply(digit * counts, np.int32(10 ** (place - (place > decimals))), out=scratch)
        length += counts
    return None
