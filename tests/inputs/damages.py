"""The table of damages that no format shows: sound files, wrong numbers, and the verdict that each must get.

`right`: used, and nothing is said. `noticed`: used as suspicious, the forecast degraded; or refused. `refused`: the
next stand-in serves, or the cycle is named missing. What no check can see is said in docs/INPUTS.md.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import eccodes
import netCDF4
import numpy as np

from stormcast_tw.sources import rwrp
from tests.flows.bad_inputs import HOUR, T, background, change, each_message, rain_path, replace

Array = np.ndarray
Do = Callable[[Path], None]
Verdict = Literal["right", "noticed", "refused"]
AGES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Damage:
    """What is done to the files below an inputs root, and the verdict that it must get."""

    do: Do
    verdict: Verdict


# The state: wrfout files of RWRP.
def wrf(form: Callable[[netCDF4.Dataset], None], ages: Sequence[int] = AGES, before: Sequence[int] = (0,)) -> Do:
    """Change the files of runs that began `ages` hours ago, valid `before` hours ago."""

    def do(root: Path) -> None:
        for age in ages:
            for back in before:
                path = root / "rwrp" / rwrp.path(T - age * HOUR, T - back * HOUR)
                if path.exists():
                    replace(path, path.read_bytes())
                    with netCDF4.Dataset(path, "a") as file:
                        file.set_auto_maskandscale(False)
                        form(file)

    return do


def each(names: str, form: Callable[[Array], Array]) -> Callable[[netCDF4.Dataset], None]:
    def do(file: netCDF4.Dataset) -> None:
        for name in names.split():
            file[name][:] = form(np.array(file[name][:]))

    return do


def of_two(form: Callable[[Array, Array], tuple[Array, Array]]) -> Callable[[netCDF4.Dataset], None]:
    def do(file: netCDF4.Dataset) -> None:
        file["U10"][:], file["V10"][:] = form(np.array(file["U10"][:]), np.array(file["V10"][:]))

    return do


def scaled(file: netCDF4.Dataset) -> None:
    file["T2"].setncatts({"scale_factor": np.float32(0.01), "add_offset": np.float32(270.0)})


def fields_of_the_hour_before(root: Path) -> None:
    for age in AGES:
        paths = [root / "rwrp" / rwrp.path(T - age * HOUR, T - back * HOUR) for back in (0, 1)]
        if all(path.exists() for path in paths):
            replace(paths[0], paths[0].read_bytes())
            with netCDF4.Dataset(paths[1]) as before, netCDF4.Dataset(paths[0], "a") as now:
                for name in ("T2", "U10", "V10", "PSFC"):
                    now[name][:] = before[name][:]


def patch(values: Array) -> Array:
    values = values.copy()
    values[..., :130, :80] = 285.0
    return values


def speckled(values: Array) -> Array:
    return values + np.random.default_rng(1).normal(0.0, 3.0, values.shape).astype(values.dtype)


def renamed(form: Callable[[str], str]) -> Do:
    def do(root: Path) -> None:
        for path in sorted((root / "rwrp").rglob("wrfout*")):
            path.rename(path.with_name(form(path.name)))

    return do


_FIELDS = "T2 U10 V10 PSFC"
_STATE = {
    "nothing": Damage(lambda root: None, "right"),
    "names without colons": Damage(renamed(lambda name: name.replace(":", "_")), "right"),
    "names that end in .nc": Damage(renamed(lambda name: f"{name}.nc"), "right"),
    "wind 0 everywhere": Damage(wrf(each("U10 V10", lambda a: 0 * a)), "refused"),
    "wind 0 everywhere, both hours": Damage(wrf(each("U10 V10", lambda a: 0 * a), before=(0, 1)), "refused"),
    "eastward wind 0 everywhere": Damage(wrf(each("U10", lambda a: 0 * a)), "noticed"),
    "winds reversed": Damage(wrf(each("U10 V10", lambda a: -a)), "refused"),
    "winds reversed, both hours": Damage(wrf(each("U10 V10", lambda a: -a), before=(0, 1)), "noticed"),
    "u and v swapped": Damage(wrf(of_two(lambda u, v: (v, u))), "noticed"),
    "winds turned by 90 degrees": Damage(wrf(of_two(lambda u, v: (-v, u))), "noticed"),
    "winds in knots": Damage(wrf(each("U10 V10", lambda a: 1.94384 * a)), "noticed"),
    "winds in km/h": Damage(wrf(each("U10 V10", lambda a: 3.6 * a)), "refused"),
    "T2 300 K everywhere": Damage(wrf(each("T2", lambda a: 0 * a + 300)), "refused"),
    "T2 in degrees Celsius": Damage(wrf(each("T2", lambda a: a - 273.15)), "refused"),
    "T2 1e-40": Damage(wrf(each("T2", lambda a: 0 * a + 1e-40)), "refused"),
    "T2 3.5 K too warm": Damage(wrf(each("T2", lambda a: a + 3.5)), "noticed"),
    "T2 5 K too cold": Damage(wrf(each("T2", lambda a: a - 5)), "noticed"),
    "T2 8 K too warm in every run and hour": Damage(wrf(each("T2", lambda a: a + 8), before=(0, 1)), "refused"),
    "T2 285 K in a quarter of the domain": Damage(wrf(each("T2", patch)), "noticed"),
    "T2 with 3 K of noise at every point": Damage(wrf(each("T2", speckled)), "noticed"),
    "T2 with scale_factor, its numbers kelvins": Damage(wrf(scaled), "noticed"),
    "PSFC 20 hPa too high": Damage(wrf(each("PSFC", lambda a: a + 2000)), "refused"),
    "PSFC at sea level": Damage(wrf(each("PSFC", lambda a: 0 * a + 101000 + 50 * np.sin(a))), "refused"),
    "fields 40 columns aside, terrain not": Damage(wrf(each(_FIELDS, lambda a: np.roll(a, 40, -1))), "refused"),
    "fields mirrored north-south, terrain not": Damage(wrf(each(_FIELDS, lambda a: a[..., ::-1, :])), "refused"),
    "fields mirrored east-west, terrain not": Damage(wrf(each(_FIELDS, lambda a: a[..., ::-1])), "refused"),
    "fields of the hour before": Damage(fields_of_the_hour_before, "refused"),
    "terrain 0": Damage(wrf(each("HGT", lambda a: 0 * a)), "refused"),
    "model rain stuck at 0": Damage(
        wrf(each("RAINNC RAINC RAINSH I_RAINNC I_RAINC", lambda a: 0 * a), before=(0, 1, 2, 3)), "noticed"
    ),
    "RAINNC 0 at the later hour": Damage(wrf(each("RAINNC RAINC", lambda a: 0 * a)), "refused"),
    "model rain thirty times": Damage(wrf(each("RAINNC RAINC RAINSH", lambda a: 30 * a)), "noticed"),
}


# The rain: counts of a quarter of a millimetre in QPESUMS; negative: not observed.
def radar(form: Callable[[Array], Array]) -> Do:
    def how(data: bytes) -> bytes:
        data = gzip.decompress(data)
        nx, ny = struct.unpack_from("<2i", data, 24)
        counts = np.frombuffer(data, "<i2", offset=170).reshape(ny, nx)
        return gzip.compress(data[:170] + np.ascontiguousarray(form(counts)).astype("<i2").tobytes())

    return lambda root: change(rain_path(root), how)


def observed(form: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda counts: np.where(counts >= 0, np.clip(form(counts.astype(int)), 0, 1199), counts)


def radar_of(hours_before: int) -> Do:
    """Deliver an earlier hour's file as this hour's, its header stamped anew."""

    def do(root: Path) -> None:
        data = bytearray(gzip.decompress(rain_path(root, T - hours_before * HOUR).read_bytes()))
        struct.pack_into("<i", data, 12, T.hour)
        replace(rain_path(root), gzip.compress(bytes(data)))

    return do


def half_dark(counts: Array) -> Array:
    counts = counts.copy()
    counts[:280] = -4
    return counts


def salted(counts: Array) -> Array:
    return np.where(np.random.default_rng(2).random(counts.shape) < 0.01, 800, counts)


_RAIN = {
    "compressed again": Damage(radar(lambda a: a), "right"),
    "one cell of 200 mm": Damage(
        radar(lambda a: np.where(np.arange(a.size).reshape(a.shape) == 300 * 441 + 220, 800, a)), "right"
    ),
    "100 mm in every observed cell": Damage(radar(observed(lambda a: 0 * a + 400)), "refused"),
    "8 mm in every observed cell": Damage(radar(observed(lambda a: 0 * a + 32)), "refused"),
    "ten times": Damage(radar(observed(lambda a: a * 10)), "noticed"),
    "a tenth": Damage(radar(observed(lambda a: a // 10)), "noticed"),
    "0 in every observed cell of a wet hour": Damage(radar(observed(lambda a: 0 * a)), "noticed"),
    "mirrored north-south": Damage(radar(lambda a: a[::-1]), "noticed"),
    "mirrored east-west": Damage(radar(lambda a: a[:, ::-1]), "noticed"),
    "transposed": Damage(radar(lambda a: a.T.reshape(a.shape)), "refused"),
    "60 columns aside": Damage(radar(lambda a: np.roll(a, 60, 1)), "noticed"),
    "the hour before, stamped anew": Damage(radar_of(1), "refused"),
    "the hour of 04 UTC, stamped anew": Damage(radar_of(2), "refused"),
    "the hour of a day before, stamped anew": Damage(radar_of(23), "refused"),
    "not observed written as 0": Damage(radar(lambda a: np.where(a < 0, 0, a)), "refused"),
    "observed nowhere in the south": Damage(radar(half_dark), "noticed"),
    "200 mm in every hundredth cell": Damage(radar(observed(salted)), "noticed"),
}


# The background: messages of the global run that serves.
LEADS = (12, 18, 24)


def grib(names: str, form: Callable[[Array], Array], leads: Sequence[int] = LEADS, levels: Sequence[int] = ()) -> Do:
    """Change fields (rows north to south, columns) by short name, at `levels` or all."""

    def how(handle: int, name: str, level: int) -> bool:
        if name in names.split() and (not levels or level in levels):
            shape = eccodes.codes_get(handle, "Nj"), eccodes.codes_get(handle, "Ni")
            values = form(eccodes.codes_get_values(handle).reshape(shape))
            eccodes.codes_set_values(handle, np.ascontiguousarray(values, float).ravel())
        return True

    def do(root: Path) -> None:
        for lead in leads:
            if background(lead)(root).exists():
                change(background(lead)(root), each_message(how))

    return do


def swapped(name: str, other: str) -> Do:
    """Exchange the numbers of two fields at every level."""

    def do(root: Path) -> None:
        for lead in LEADS:
            if background(lead)(root).exists():
                change(background(lead)(root), lambda data: _swapped(data, name, other))

    return do


def _swapped(data: bytes, name: str, other: str) -> bytes:
    values: dict[tuple[str, int], Array] = {}

    def read(handle: int, short_name: str, level: int) -> bool:
        values[short_name, level] = eccodes.codes_get_values(handle)
        return True

    def write(handle: int, short_name: str, level: int) -> bool:
        exchanged = {name: other, other: name}.get(short_name)
        if exchanged:
            eccodes.codes_set_values(handle, values[exchanged, level])
        return True

    each_message(read)(data)
    return each_message(write)(data)


def lead_as_the_next(root: Path) -> None:
    """Deliver the fields of lead 12 as those of lead 18."""
    values: dict[tuple[str, int], Array] = {}

    def read(handle: int, short_name: str, level: int) -> bool:
        values[short_name, level] = eccodes.codes_get_values(handle)
        return True

    def write(handle: int, short_name: str, level: int) -> bool:
        eccodes.codes_set_values(handle, values[short_name, level])
        return True

    each_message(read)(background(12)(root).read_bytes())
    change(background(18)(root), each_message(write))


EVERY = "2t 10u 10v msl t u v q z"
_BACKGROUND = {
    "written again": Damage(grib(EVERY, lambda a: a), "right"),
    "z as heights in gpm": Damage(grib("z", lambda a: a / 9.80665), "right"),
    "2t 60 K too cold": Damage(grib("2t", lambda a: a - 60), "refused"),
    "2t 20 K too warm at one lead": Damage(grib("2t", lambda a: a + 20, (18,)), "refused"),
    "2t 300 K everywhere": Damage(grib("2t", lambda a: 0 * a + 300), "refused"),
    "10u 80 m/s too strong": Damage(grib("10u", lambda a: a + 80), "refused"),
    "10-m winds in km/h": Damage(grib("10u 10v", lambda a: 3.6 * a), "noticed"),
    "10-m winds reversed": Damage(grib("10u 10v", lambda a: -a), "refused"),
    "msl 50 hPa too low": Damage(grib("msl", lambda a: a - 5000), "refused"),
    "msl in hPa": Damage(grib("msl", lambda a: a / 100), "refused"),
    "q 0": Damage(grib("q", lambda a: 0 * a), "refused"),
    "q twice": Damage(grib("q", lambda a: 2 * a), "noticed"),
    "q in g/kg": Damage(grib("q", lambda a: 1000 * a), "refused"),
    "winds 0": Damage(grib("u v 10u 10v", lambda a: 0 * a), "refused"),
    "winds reversed": Damage(grib("u v 10u 10v", lambda a: -a), "refused"),
    "u and v exchanged": Damage(swapped("u", "v"), "noticed"),
    "t 10 K too warm at 850 hPa": Damage(grib("t", lambda a: a + 10, levels=(850,)), "noticed"),
    "t mirrored north-south": Damage(grib("t 2t", lambda a: a[::-1]), "noticed"),
    "every field mirrored north-south": Damage(grib(EVERY, lambda a: a[::-1]), "noticed"),
    "every field mirrored east-west": Damage(grib(EVERY, lambda a: a[:, ::-1]), "noticed"),
    "every field 8 columns aside": Damage(grib(EVERY, lambda a: np.roll(a, 8, 1)), "noticed"),
    "z 100 gpm too high at every level": Damage(grib("z", lambda a: a + 981.0), "noticed"),
    "z constant at 500 hPa": Damage(grib("z", lambda a: 0 * a + a.mean(), levels=(500,)), "refused"),
    "lead 12 delivered as lead 18": Damage(lead_as_the_next, "refused"),
}

DAMAGES = {
    f"{kind}: {what}": damage
    for kind, table in (("state", _STATE), ("rain", _RAIN), ("background", _BACKGROUND))
    for what, damage in table.items()
}
"""Every damage by its name."""

UNSEEN: dict[str, Do] = {
    "state: fields one column aside, terrain not": wrf(each("T2 U10 V10", lambda a: np.roll(a, 1, -1))),
    "state: T2 1.5 K too warm": wrf(each("T2", lambda a: a + 1.5)),
    "state: winds a quarter too strong": wrf(each("U10 V10", lambda a: 1.25 * a)),
    "rain: half as much again": radar(observed(lambda a: a * 3 // 2)),
    "rain: one column aside": radar(lambda a: np.roll(a, 1, 1)),
    "background: 10-m winds in knots": grib("10u 10v", lambda a: 1.94384 * a),
    "background: t 5 K too warm at 850 hPa": grib("t", lambda a: a + 5, levels=(850,)),
    "background: every field one column aside": grib(EVERY, lambda a: np.roll(a, 1, 1)),
    "background: 2t 2 K too warm": grib("2t", lambda a: a + 2),
}
"""Damages that no check sees, because weather does as much: they are used, and nothing is said."""

KINDS = (
    "state: nothing",
    "state: wind 0 everywhere",
    "state: T2 3.5 K too warm",
    "rain: not observed written as 0",
    "background: winds reversed",
    "background: every field mirrored north-south",
)
"""The rows of the suite: of each verdict and each input; all in `make soak`."""
