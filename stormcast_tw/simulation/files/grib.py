"""GRIB 2 messages of simulated fields, and the mark that distinguishes them from real ones.

Messages in ECMWF's form carry experiment version SIMU. Other centres have no such key: theirs are research products
(production status 2) with the word SIMULATED in the local section.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import eccodes
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MARK = b"SIMULATED"

Keys = Mapping[str, int | float | str]


def message(values: FloatArray, keys: Keys, *, packing: str, bits: int, sample: str = "regular_ll_sfc_grib2") -> bytes:
    """Return one message, with `values` in the point order of the grid that `keys` describe.

    `keys` are eccodes' names, set in this order; keys not among them keep the value of eccodes' `sample`.
    """
    handle = eccodes.codes_grib_new_from_samples(sample)
    try:
        for key, value in keys.items():
            eccodes.codes_set(handle, key, value)
        eccodes.codes_set(handle, "packingType", packing)
        eccodes.codes_set(handle, "bitsPerValue", bits)
        eccodes.codes_set_values(handle, values.ravel())
        return bytes(eccodes.codes_get_message(handle))
    finally:
        eccodes.codes_release(handle)


def marked(data: bytes) -> bytes:
    """Return an edition 2 message that has no local section with one that says SIMULATED (FM 92, section 2)."""
    if data[20] != 1 or data[41] != 3:
        raise ValueError(f"sections {data[20]} and {data[41]} follow section 0; allowed 1 and 3")
    local = (5 + len(MARK)).to_bytes(4, "big") + b"\x02" + MARK
    whole = data[:37] + local + data[37:]
    return whole[:8] + len(whole).to_bytes(8, "big") + whole[16:]


def when(init_time: datetime, lead_hours: int) -> dict[str, int | str]:
    """Return the keys that give a run and a lead."""
    return {
        "productionStatusOfProcessedData": 2,
        "typeOfProcessedData": 1 if lead_hours else 0,
        "dataDate": int(f"{init_time:%Y%m%d}"),
        "dataTime": init_time.hour * 100,
        "stepUnits": "h",
        "step": lead_hours,
    }


def what(category: int, number: int, surface: int, level: int = 0) -> dict[str, int]:
    """Return the keys that give a meteorological parameter on a surface (FM 92, code tables 4.1, 4.2 and 4.5)."""
    return {
        "discipline": 0,
        "parameterCategory": category,
        "parameterNumber": number,
        "typeOfFirstFixedSurface": surface,
        "scaleFactorOfFirstFixedSurface": 0,
        "scaledValueOfFirstFixedSurface": level,
    }
