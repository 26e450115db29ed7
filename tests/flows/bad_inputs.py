"""The table of bad inputs: what is done to the files of a cycle, the one line that is said, and the exit code.

Exit code 1 where nothing stands in, 3 where a stand-in serves, 4 where a required input is simply not there. A few
rows, one of each kind, are in the suite (`KINDS`); all of them in `make soak`.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import eccodes
import netCDF4
import numpy as np

from stormcast_tw.simulation.files import aifs as simulated_aifs
from stormcast_tw.simulation.files import global_ai as simulated_global_ai
from stormcast_tw.simulation.files import opendata as simulated_opendata
from stormcast_tw.simulation.files import qpesums as simulated_qpesums
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources import aifs, global_ai, qpesums, rwrp
from stormcast_tw.sources.opendata import RAIN_KEY
from tests.conftest import CYCLE

T = CYCLE.init_time
HOUR = timedelta(hours=1)
RUN = T - 12 * HOUR
WORLD = World()
HTML = b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>"


@dataclass(frozen=True)
class Row:
    """One kind of damage to the files below a root, the pattern of the line that names it, and the exit code."""

    damage: Callable[[Path], None]
    line: str
    code: int


def replace(path: Path, data: bytes) -> None:
    """Write a file anew: those of the tests are hard links."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def change(path: Path, how: Callable[[bytes], bytes]) -> None:
    replace(path, how(path.read_bytes()))


# The background: EC-pangu GRIB, for which nothing stands in unless a row brings it.
def background(lead: int = 12) -> Callable[[Path], Path]:
    return lambda root: root / "global_ai" / global_ai.path(RUN, lead)


def grib(how: Callable[[bytes], bytes], lead: int = 12) -> Callable[[Path], None]:
    return lambda root: change(background(lead)(root), how)


def each_message(how: Callable[[int, str, int], bool]) -> Callable[[bytes], bytes]:
    """Rewrite a GRIB file message by message: `how` changes an eccodes handle and says whether to keep it."""

    def rewrite(data: bytes) -> bytes:
        out, start = b"", 0
        while start < len(data):
            length = int.from_bytes(data[start + 8 : start + 16], "big")
            handle = eccodes.codes_new_from_message(data[start : start + length])
            keep = how(handle, eccodes.codes_get(handle, "shortName"), eccodes.codes_get(handle, "level"))
            out += eccodes.codes_get_message(handle) if keep else b""
            eccodes.codes_release(handle)
            start += length
        return out

    return rewrite


def values_of(name: str, level: int, form: Callable[[np.ndarray], np.ndarray]) -> Callable[[bytes], bytes]:
    def how(handle: int, short_name: str, at: int) -> bool:
        if (short_name, at) == (name, level):
            values = form(eccodes.codes_get_values(handle))
            if np.isnan(values).any():
                eccodes.codes_set(handle, "bitmapPresent", 1)
                eccodes.codes_set(handle, "missingValue", 9999)
            eccodes.codes_set_values(handle, np.where(np.isnan(values), 9999, values))
        return True

    return each_message(how)


def _holes(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values[:7] = np.nan
    return values


def another_grid(handle: int, short_name: str, level: int) -> bool:
    if (short_name, level) == ("t", 850):
        eccodes.codes_set(handle, "longitudeOfFirstGridPointInDegrees", 112.1)
        eccodes.codes_set(handle, "longitudeOfLastGridPointInDegrees", 130.1)
    return True


def far_away(handle: int, _name: str, _level: int) -> bool:
    eccodes.codes_set(handle, "latitudeOfFirstGridPointInDegrees", 32.0 - 20)
    eccodes.codes_set(handle, "latitudeOfLastGridPointInDegrees", 15.0 - 20)
    return True


def short_of_the_domain(handle: int, _name: str, _level: int) -> bool:
    eccodes.codes_set(handle, "latitudeOfFirstGridPointInDegrees", 23.5)
    eccodes.codes_set(handle, "latitudeOfLastGridPointInDegrees", 6.5)
    return True


def of_another_cycle(root: Path) -> None:
    replace(background()(root), simulated_global_ai.encode(WORLD, RUN - 12 * HOUR, 24))


def only_aifs(how: Callable[[bytes, bytes], tuple[bytes, bytes]]) -> Callable[[Path], None]:
    """AIFS instead of the first provider, its index or its data damaged."""

    def damage(root: Path) -> None:
        for lead in (12, 18):
            background(lead)(root).unlink(missing_ok=True)
            data, index = simulated_aifs.encode(WORLD, RUN, lead)
            data, index = how(data, index) if lead == 12 else (data, index)
            replace(root / "aifs" / aifs.path(RUN, lead), data)
            replace(root / "aifs" / aifs.index_path(RUN, lead), index)

    return damage


def _beyond(data: bytes, index: bytes) -> tuple[bytes, bytes]:
    lines = index.decode().splitlines()
    return data, "\n".join(line.replace('"_offset": ', '"_offset": 9') for line in lines).encode()


# The rain: QPESUMS, for which RWRP's own stands in.
def rain_path(root: Path, time: datetime = T) -> Path:
    return root / "qpesums" / qpesums.path(time)


def binary(how: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda root: change(rain_path(root), how)


def unpacked(how: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return binary(lambda data: gzip.compress(how(gzip.decompress(data))))


def raining(quarters: int) -> Callable[[bytes], bytes]:
    def how(data: bytes) -> bytes:
        values = np.frombuffer(data, "<i2", offset=170).copy()
        values[values >= 0] = quarters
        return data[:170] + values.tobytes()

    return how


def open_data(how: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        rain_path(root).unlink()
        replace(root / "cwa_open_data" / RAIN_KEY, how(simulated_opendata.rain_json(WORLD, T)))

    return damage


def stamped(text: str) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(b"2026-06-11T14:00:00+08:00", text.encode())


# The state: every run of RWRP's wrfout files, so that none is left.
def runs(root: Path) -> list[tuple[datetime, Path]]:
    inits = [T - n * HOUR for n in (1, 2, 3)]
    return [(init, root / "rwrp" / rwrp.path(init, T)) for init in inits]


def wrfout(how: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        for _, path in runs(root):
            change(path, how)

    return damage


def written(variable: str, form: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        for _, path in runs(root):
            replace(path, path.read_bytes())
            with netCDF4.Dataset(path, "a") as file:
                file[variable][:] = form(file[variable][:])

    return damage


def without(variable: str) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(variable.encode() + b"\0", variable.lower().encode() + b"\0", 1)


def shifted_ground(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 20, axis=-1)


def earlier_file(root: Path) -> None:
    for init, path in runs(root):
        replace(path, (root / "rwrp" / rwrp.path(init, init)).read_bytes())


def other_run(root: Path) -> None:
    first = runs(root)[0][1].read_bytes()
    others = {path: path.read_bytes() for _, path in runs(root)[1:]}
    for path in others:
        replace(path, first)
    replace(runs(root)[0][1], next(iter(others.values())))


def archive(_data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("data.nc", b"CDF\x01")
    return buffer.getvalue()


EC = r"EC-pangu_2026061018-12\.grb"
QPE = r"CB_GC_PCP_1H_RAD\.20260611\.0600\.gz"
WRF = r"wrfout_d02_2026-06-11_06:00:00"
ROWS: Mapping[str, Row] = {
    "GRIB, truncated": Row(grib(lambda d: d[:-100]), EC + r": the message at byte \d+ is \d+ bytes long; found \d+", 1),
    "GRIB, empty": Row(grib(lambda d: b""), EC + r": 0 bytes; allowed at least one GRIB message", 1),
    "GRIB, HTML": Row(grib(lambda d: HTML), EC + r": byte 0 begins with b'<!DOCTYP'; allowed GRIB", 1),
    "GRIB, another cycle": Row(of_another_cycle, EC + r": \w+ has init time 20260610T0600Z; allowed 20260610T1800Z", 1),
    "GRIB, a message twice": Row(grib(lambda d: d + d), EC + r": \w+ appears 2 times|" + EC + r".* twice", 1),
    "GRIB, NaN": Row(grib(values_of("t", 500, _holes)), EC + r": t500 has 7 missing values; allowed 0", 1),
    "GRIB, C for K": Row(
        grib(values_of("t", 500, lambda v: v - 273.15)), EC + r": t500 spans -\d\S* to -?\d\S* K; allowed 210 to 300", 1
    ),
    "GRIB, hPa for Pa": Row(
        grib(values_of("msl", 0, lambda v: v / 100)), EC + r": msl spans \S+ to 10\d\d\S* Pa; allowed 86000", 1
    ),
    "GRIB, wind 300 m/s": Row(
        grib(values_of("u", 250, lambda v: v * 0 + 300)), EC + r": u250 spans 300 to 300 m s-1; allowed -130 to 130", 1
    ),
    "GRIB, missing level": Row(
        grib(each_message(lambda h, name, level: (name, level) != ("q", 850))), EC + r": .*q850", 1
    ),
    "GRIB, missing variable": Row(grib(each_message(lambda h, name, level: name != "2t")), EC + r": .*t2m", 1),
    "GRIB, missing lead": Row(
        lambda root: background(18)(root).unlink(), r"20260611T06Z: background \(.*EC-pangu_\S+: not there yet", 4
    ),
    "GRIB, two grids": Row(grib(each_message(another_grid)), EC + r": \w+ is on .*; allowed ", 1),
    "GRIB, far away": Row(grib(each_message(far_away)), EC + r": \w+: has 0 x \d+ points in Box", 1),
    "GRIB, short of the domain": Row(
        lambda root: [grib(each_message(short_of_the_domain), lead)(root) for lead in (12, 18)] and None,
        EC + r": grid .* does not cover SMALL: \d+ of 1024 points lie up to",
        1,
    ),
    "index, past the end": Row(only_aifs(_beyond), r"-12h-oper-fc\.(index|grib2): .*", 1),
    "index, HTML": Row(only_aifs(lambda d, i: (d, HTML)), r"-12h-oper-fc\.index: ", 1),
    "index, of other data": Row(only_aifs(lambda d, i: (d[17:], i)), r"-12h-oper-fc\.(index|grib2): ", 1),
    "rain, truncated gzip": Row(binary(lambda d: d[: len(d) // 2]), QPE + r": \d+ bytes are not a whole gzip", 3),
    "rain, empty": Row(binary(lambda d: b""), QPE + r": ", 3),
    "rain, HTML": Row(binary(lambda d: HTML), QPE + r": \d+ bytes are not a whole gzip file", 3),
    "rain, another hour": Row(
        lambda root: replace(rain_path(root), simulated_qpesums.encode(WORLD, T - HOUR)),
        QPE + r": header time is 2026-06-11 05:00:00 UTC; allowed 2026-06-11 06:00:00 UTC",
        3,
    ),
    "rain, of the future": Row(
        lambda root: replace(rain_path(root), simulated_qpesums.encode(WORLD, T + HOUR)),
        QPE + r": header time is 2026-06-11 07:00:00 UTC; allowed",
        3,
    ),
    "rain, 2000 mm/h": Row(unpacked(raining(8000)), QPE + r": tp01 spans 2000 to 2000 kg m-2; allowed 0 to 300", 3),
    "rain, gross": Row(unpacked(raining(1000)), QPE + r": tp01 has a 99th percentile of 250 kg m-2; allowed 120", 3),
    "rain, nothing seen": Row(unpacked(raining(-4)), QPE + r": tp01 (covers 0\.0% of the domain|has no)", 3),
    "rain, JSON truncated": Row(open_data(lambda d: d[: len(d) // 2]), r"O-B0045-001\.json: ", 3),
    "rain, JSON empty": Row(open_data(lambda d: b""), r"O-B0045-001\.json: ", 3),
    "rain, JSON is HTML": Row(open_data(lambda d: HTML), r"O-B0045-001\.json: ", 3),
    "rain, JSON NaN": Row(
        open_data(lambda d: d.replace(b"0.0000000E+00", b"          NaN", 3).replace(b"-1.0", b" NaN", 3)),
        r"O-B0045-001\.json: |not there yet",
        3,
    ),
    "rain, JSON of a naive time": Row(open_data(stamped("2026-06-11T14:00:00")), r"O-B0045-001\.json: .*zone", 3),
    "rain, JSON of an odd time": Row(
        open_data(stamped("2026-06-11T14:07:00+08:00")), r"O-B0045-001\.json: holds 2026-06-11 06:07 UTC", 3
    ),
    "state, truncated": Row(wrfout(lambda d: d[: len(d) // 3]), WRF + r": ", 1),
    "state, empty": Row(wrfout(lambda d: b""), WRF + r": begins with b''; allowed a NetCDF file", 1),
    "state, HTML": Row(wrfout(lambda d: HTML), WRF + r": begins with b'<!DOCTYP'; allowed a NetCDF file", 1),
    "state, a zip": Row(wrfout(archive), WRF + r": begins with b'PK", 1),
    "state, C for K": Row(
        written("T2", lambda v: v - 273.15), WRF + r": t2m spans -?\d\S* to \d\S* K; allowed 220 to 330", 1
    ),
    "state, hPa for Pa": Row(written("PSFC", lambda v: v / 100), WRF + r": sp spans \d\S* to 10\d\d\S* Pa; allowed", 1),
    "state, wind 300 m/s": Row(written("U10", lambda v: v * 0 + 300), WRF + r": u10m spans \S+ to \S+ m s-1", 1),
    "state, NaN": Row(
        written("T2", lambda v: v * np.nan), WRF + r": t2m has \d+ of \d+ values that are not finite; allowed 0", 1
    ),
    "state, Inf": Row(
        written("V10", lambda v: v * np.inf), WRF + r": [uv]10m has \d+ of \d+ values that are not finite", 1
    ),
    "state, missing variable": Row(wrfout(without("PSFC")), WRF + r": has no variable PSFC", 1),
    "state, another time": Row(earlier_file, WRF + r": Times holds 2026-06-11_06:00:00 0 times; allowed once", 1),
    "state, another run": Row(other_run, WRF + r": SIMULATION_START_DATE is 2026-06-11_0\d:00:00; allowed", 1),
    "state, wrong grid": Row(
        written("HGT", shifted_ground), WRF + r": orog differs from the package's orography by \d+\.\d m RMS", 1
    ),
    "state, winds turned wrong": Row(written("SINALPHA", lambda v: -v), WRF + r": COSALPHA and SINALPHA differ", 1),
}
KINDS = (
    "GRIB, truncated",
    "GRIB, another cycle",
    "GRIB, missing lead",
    "index, past the end",
    "rain, 2000 mm/h",
    "rain, JSON of a naive time",
    "state, C for K",
    "state, wrong grid",
)
"""The rows of the suite."""
