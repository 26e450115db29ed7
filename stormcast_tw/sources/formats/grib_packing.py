"""Checks of the packing parameters of a GRIB message, before it is unpacked.

eccodes and libaec trust these numbers: with a wrong one they read or write outside their memory (found by fuzzing, see
`soak/fuzz_grib.py`). WMO Manual on Codes, FM 92, templates 5.0, 5.2, 5.3 and 5.42.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput
from stormcast_tw.lazy import lazy_import
from stormcast_tw.sources.formats.grib_sections import sections

eccodes = lazy_import("eccodes")

_DATA_BEGINS = {1: 11, 2: 5}
"""Octets before the values in the data section, by edition."""
LARGEST_FIELD = 8_000_000
"""Most points of a field that is decoded: a globe of 0.1 degree has 6.5 million."""

_SIMPLE: dict[str, Sequence[int]] = {"bitsPerValue": range(33)}


def _complex(points: int) -> dict[str, Sequence[int]]:
    groups = {"numberOfGroupsOfDataValues": range(1, points + 1), "trueLengthOfLastGroup": range(1, points + 1)}
    bits = {key: range(32) for key in ("numberOfBitsUsedForTheGroupWidths", "numberOfBitsForScaledGroupLengths")}
    return {**_SIMPLE, **groups, **bits, "missingValueManagementUsed": (0,)}


_PACKINGS: dict[str, Callable[[int], dict[str, Sequence[int]]]] = {
    "grid_simple": lambda points: _SIMPLE,
    "grid_ccsds": lambda points: {**_SIMPLE, "ccsdsBlockSize": (8, 16, 32, 64), "ccsdsRsi": range(1, 4097)},
    "grid_complex": _complex,
    "grid_complex_spatial_differencing": lambda points: {
        **_complex(points),
        "orderOfSpatialDifferencing": (1, 2),
        "numberOfOctetsExtraDescriptors": range(1, 5),
    },
}
"""The providers' packings, and the allowed parameters for a field of so many points; no other decoder is run."""


def check(handle: int, name: str, address: str) -> None:
    """Raise BadInput, naming the variable, unless the message's numbers fit its packing and each other."""
    if (packing := eccodes.codes_get(handle, "packingType")) not in _PACKINGS:
        raise BadInput(f"{address}: {name} is packed as {packing}; allowed {', '.join(_PACKINGS)}")
    points = eccodes.codes_get(handle, "Ni") * eccodes.codes_get(handle, "Nj")
    if not 4 <= points <= LARGEST_FIELD:
        raise BadInput(f"{address}: {name} has {points} points; allowed 4 to {LARGEST_FIELD}")
    checks: dict[str, Sequence[int]] = {"numberOfDataPoints": (points,), "numberOfValues": range(points + 1)}
    for key, allowed in (checks | _PACKINGS[packing](points)).items():
        if (value := eccodes.codes_get(handle, key)) not in allowed:
            raise BadInput(f"{address}: {name}'s {key} is {value}; allowed {allowed}")
    if packing != "grid_ccsds":
        _check_room(handle, packing, f"{address}: {name}")


def _check_room(handle: int, packing: str, what: str) -> None:
    """Raise BadInput unless the message's values fit into its data section."""
    message: bytes = eccodes.codes_get_message(handle)
    last = (sections(message, what) or ())[-1]
    head = _DATA_BEGINS[message[7]]
    data = np.frombuffer(message, np.uint8, last.length - head, last.start + head)
    if packing == "grid_simple":
        needed = eccodes.codes_get(handle, "numberOfValues") * eccodes.codes_get(handle, "bitsPerValue")
        if needed > 8 * data.size:
            raise BadInput(f"{what} has values of {needed} bits; its section holds {8 * data.size}")
    else:
        _check_groups(handle, packing, data, what)


def _check_groups(handle: int, packing: str, data: npt.NDArray[np.uint8], what: str) -> None:
    """Raise BadInput unless the groups of complex packing fit their section and make up the field (template 7.2, 7.3).

    After the first values and the overall minimum of the differences come three tables with an entry a group, each
    beginning on a whole octet: reference values, widths and lengths; after them the values, `width` bits each.
    """
    get = eccodes.codes_get
    groups = get(handle, "numberOfGroupsOfDataValues")
    at = 0
    if packing == "grid_complex_spatial_differencing":
        at = (get(handle, "orderOfSpatialDifferencing") + 1) * get(handle, "numberOfOctetsExtraDescriptors")
    at += -(-groups * get(handle, "bitsPerValue") // 8)
    bits = get(handle, "numberOfBitsUsedForTheGroupWidths")
    widths = get(handle, "referenceForGroupWidths") + _integers(data, at, groups, bits, what)
    at += -(-groups * bits // 8)
    bits = get(handle, "numberOfBitsForScaledGroupLengths")
    steps = _integers(data, at, groups, bits, what)
    at += -(-groups * bits // 8)
    lengths = get(handle, "referenceForGroupLengths") + get(handle, "lengthIncrementForTheGroupLengths") * steps
    lengths[-1] = get(handle, "trueLengthOfLastGroup")
    if widths.max() > 32:
        raise BadInput(f"{what} has a group of {widths.max()} bits a value; allowed 0 to 32")
    if (values := int(lengths.sum())) != (expected := get(handle, "numberOfValues")):
        raise BadInput(f"{what} has groups of {values} values; allowed {expected}")
    if (needed := int((widths * lengths).sum())) > 8 * (data.size - at):
        raise BadInput(f"{what} has groups of {needed} bits; its section holds {8 * (data.size - at)}")


def _integers(data: npt.NDArray[np.uint8], at: int, count: int, bits: int, what: str) -> npt.NDArray[np.int64]:
    """Return `count` unsigned integers of `bits` bits each from octet `at`."""
    octets = -(-count * bits // 8)
    if at + octets > data.size:
        raise BadInput(f"{what} has tables of groups to octet {at + octets}; its section holds {data.size}")
    total = np.zeros(count, np.int64)
    for column in np.unpackbits(data[at : at + octets], count=count * bits).reshape(count, bits).T:
        total = 2 * total + column
    return total
