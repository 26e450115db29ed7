"""Maps of a cycle as PNG data URIs: indexed colours, one pixel per point, made without a drawing library."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

Kind = Literal["rain", "wind", "temperature"]


@dataclass(frozen=True)
class Palette:
    """Classes of a quantity: edges in its units, and one more colour than edges, the first below all edges."""

    unit: str
    edges: tuple[float, ...]
    colours: tuple[str, ...]


PALETTES: dict[Kind, Palette] = {
    # Rain as coded in the CWA's plotting package; wind from Beaufort 4 on; temperature one colour per 3 degrees.
    "rain": Palette("mm/h", (0.1, 1, 2, 6, 10, 15, 20, 30, 40, 50, 70, 90), (
        "FFFFFF", "C6C5C3", "9BFFFF", "00CFFF", "0198FF", "0165FF", "309901", "32FF00", "F8FF00", "FFCB00", "FF9A00",
        "FA0300", "CC0003")),
    "wind": Palette("m/s", (1.6, 3.4, 5.5, 8.0, 10.8, 13.9, 17.2, 20.8, 24.5, 28.5, 32.7), (
        "F7FBFF", "DEEBF7", "C6DBEF", "9ECAE1", "6BAED6", "FFE08A", "FFD400", "FFB700", "FF8C00", "F26A00", "E04A00",
        "9B1FC4")),
    "temperature": Palette("°C", (3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36), (
        "2E899C", "5BA9BA", "87CAD8", "B3EAF6", "1D9A51", "62B96A", "A7D883", "F4F4C3", "F4D576", "EEB14E", "E78C26",
        "ED5138", "780101")),
}  # fmt: skip
_MISSING, _COAST = "BBBBBB", "222222"


@dataclass(frozen=True)
class Panel:
    """One map: its title, kind, and values (y, x), y upwards, in mm, m s-1 or K by `kind`; NaN is drawn grey."""

    title: str
    kind: Kind
    values: Array


@dataclass(frozen=True)
class CycleMaps:
    """Maps of the best or worst cycle: `cycle` as `20260611T06Z`, a `note`, panels, and the land mask (y, x)."""

    which: Literal["best", "worst"]
    cycle: str
    note: str
    panels: Sequence[Panel]
    land: Array = field(default_factory=lambda: np.zeros((0, 0), bool))


def data_uri(panel: Panel, land: Array) -> str:
    """Return the map as `data:image/png;base64,...`, north up, with the coast dark if `land` has the map's shape."""
    palette = PALETTES[panel.kind]
    shown = panel.values - 273.15 if panel.kind == "temperature" else panel.values
    colours = (*palette.colours, _MISSING, _COAST)
    index = np.searchsorted(palette.edges, np.nan_to_num(shown), side="right")
    index[~np.isfinite(shown)] = len(palette.colours)
    if land.shape == shown.shape:
        index[coast(land)] = len(palette.colours) + 1
    return "data:image/png;base64," + base64.b64encode(_png(index[::-1].astype(np.uint8), colours)).decode()


def coast(land: Array) -> Array:
    """Return the land points (y, x) that have sea on one side."""
    padded = np.pad(np.asarray(land, bool), 1, mode="edge")
    inland = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    shore: Array = np.asarray(land, bool) & ~inland
    return shore


def _png(index: Array, colours: Sequence[str]) -> bytes:
    """Return an indexed PNG of (y, x) uint8, first row on top (W3C PNG specification, colour type 3)."""
    height, width = index.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), index])
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = {b"IHDR": header, b"PLTE": bytes.fromhex("".join(colours)), b"IDAT": zlib.compress(rows.tobytes(), 9),
              b"IEND": b""}  # fmt: skip
    made = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks.items():
        made += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return made
