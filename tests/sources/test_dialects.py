"""Files that are right in a dialect that users have met, and files that are close to them but wrong."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import eccodes
import netCDF4
import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.sources.formats import grib_index
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState, path
from stormcast_tw.storage.provider_files import Folder, Reader
from stormcast_tw.variables import variable_set
from tests.sources.conftest import T, WrfoutWriter

HOUR = timedelta(hours=1)
RAIN, STATE = variable_set("rain", "tp01"), variable_set("state", "t2m", "u10m", "v10m", "sp", "orog")
PLAIN = "plain"


def rain_of_the_hour(lambert: WrfoutWriter, folder: Path, **how: object) -> np.ndarray:
    """RAINC grows by 1, RAINNC by 2 + i, RAINSH by 0.5 mm in the hour."""
    i = lambert.fields()["RAINNC"] - 2
    for hour, time in enumerate((T - HOUR, T)):
        fields = {"RAINC": 1.0 * hour, "RAINNC": hour * (2 + i), "RAINSH": 0.5 * hour}
        without: tuple[str, ...] = how.get("without", ())  # type: ignore[assignment]
        kept = {name: values for name, values in fields.items() if name not in without}
        lambert.write(folder / path(T - HOUR, time), T - HOUR, [time], fields=kept, **how)  # type: ignore[arg-type]
    source = RwrpRain(Folder(str(folder)))
    return source.read(source.find((T,), RAIN, T - HOUR)).dataset["tp01"].values[0]


@pytest.mark.parametrize(
    ("without", "attributes", "less"),
    [
        (("RAINSH",), {"SHCU_PHYSICS": np.int32(0)}, 0.5),
        (("RAINC",), {"CU_PHYSICS": np.int32(0)}, 1.0),
        (("RAINC", "RAINSH"), {"CU_PHYSICS": np.int32(0), "SHCU_PHYSICS": np.int32(0)}, 1.5),
    ],
)
def test_rain_of_a_scheme_that_is_off_is_zero(lambert, tmp_path: Path, without, attributes: Mapping, less: float):
    i = lambert.fields()["RAINNC"] - 2
    found = rain_of_the_hour(lambert, tmp_path, without=without, attributes=attributes)
    np.testing.assert_allclose(found, 3.5 - less + i, atol=1e-5)


@pytest.mark.parametrize(
    ("attributes", "said"), [({}, "absent"), ({"SHCU_PHYSICS": np.int32(3)}, "3")], ids=["silent", "on"]
)
def test_rain_of_a_scheme_that_is_not_off_is_needed(lambert, tmp_path: Path, attributes: Mapping, said: str):
    problem = rf"T|wrfout.*: has no variable RAINSH; allowed only where SHCU_PHYSICS is 0, it is {said}"
    with pytest.raises(BadInput, match=problem):
        rain_of_the_hour(lambert, tmp_path, without=("RAINSH",), attributes=attributes)


@pytest.mark.parametrize(
    "change", [lambda n: n.replace(":", "_"), lambda n: f"{n}.nc", lambda n: n.replace(":", "_") + ".nc"]
)
def test_a_run_is_found_under_every_name_that_wrf_gives_it(lambert, tmp_path: Path, change):
    source = RwrpState(Folder(str(tmp_path)))
    with pytest.raises(NotReady, match="wrfout_d02_2026-06-11_06:00:00: not there yet"):
        source.find((T,), STATE, T)
    lambert.write(tmp_path / change(path(T, T)), T, [T])
    dataset = source.read(source.find((T,), STATE, T)).dataset
    np.testing.assert_allclose(dataset["t2m"].values[0], lambert.fields()["T2"], rtol=1e-6)


def repacked(lambert: WrfoutWriter, folder: Path, kind: str, **attributes: object) -> RwrpState:
    """T2 as another type, with these attributes."""
    file = lambert.write(folder / path(T, T), T, [T])
    with netCDF4.Dataset(file, "a") as out:
        out.set_auto_maskandscale(False)
        values = np.asarray(out["T2"][:], np.float64)
        out.renameVariable("T2", "T2_before")
        variable = out.createVariable("T2", kind, ("Time", "south_north", "west_east"))
        variable.set_auto_maskandscale(False)
        variable.setncatts(attributes)
        if kind == "i2":
            values = np.rint((values - attributes["add_offset"]) / attributes["scale_factor"])
        variable[:] = values.astype(kind)
    return RwrpState(Folder(str(folder)))


def test_packed_integers_are_unpacked(lambert, tmp_path: Path):
    source = repacked(lambert, tmp_path, "i2", scale_factor=np.float32(0.01), add_offset=np.float32(280.0))
    dataset = source.read(source.find((T,), STATE, T)).dataset
    np.testing.assert_allclose(dataset["t2m"].values[0], lambert.fields()["T2"], atol=0.006)


@pytest.mark.parametrize(
    ("kind", "attributes", "problem"),
    [
        ("f4", {"scale_factor": 0.01, "add_offset": 270.0}, r"T2 is of type float32 with scale_factor 0.01"),
        ("i2", {"scale_factor": np.nan, "add_offset": 280.0}, r"T2: scale_factor is nan; allowed one finite number"),
        ("f4", {"units": "degC"}, r"T2 is in 'degC'; allowed 'K'"),
    ],
)  # fmt: skip
def test_attributes_that_contradict_the_numbers_are_refused(lambert, tmp_path: Path, kind, attributes, problem: str):
    if kind == "i2":
        source = repacked(lambert, tmp_path, kind, scale_factor=1.0, add_offset=280.0)
        with netCDF4.Dataset(tmp_path / path(T, T), "a") as out:
            out["T2"].setncatts(attributes)
    else:
        source = repacked(lambert, tmp_path, kind, **attributes)
    with pytest.raises(BadInput, match=problem):
        source.read(source.find((T,), STATE, T))


def grib_message(hour: int) -> bytes:
    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
    for key, value in {"dataDate": 20240601, "dataTime": 100 * hour, "shortName": "2t"}.items():
        eccodes.codes_set(handle, key, value)
    made: bytes = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return made


@pytest.mark.parametrize("multiple", [1, 8, 120, 4096])
def test_messages_that_mars_padded_are_found(multiple: int):
    messages = [grib_message(hour) for hour in (0, 6, 12)]
    file = b"".join(message + b"\0" * (-len(message) % multiple) for message in messages)
    reader = Reader.of_bytes("f", file)
    found = [grib_index.message(reader, entry) for entry in grib_index.scan(reader)]
    assert found == messages


def test_padding_hides_nothing():
    message = grib_message(0)
    for file, problem in (
        (b"\0" * 8 + message, "byte 0 begins with"),
        (message + b"\0" * 8 + b"JUNK" * 8, f"byte {len(message) + 8} begins with b'JUNKJUNK'"),
    ):
        with pytest.raises(BadInput, match=problem):
            grib_index.scan(Reader.of_bytes("f", file))


@pytest.fixture
def cases() -> Path:
    """The makers of small inputs beside the repository."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("no cases beside the repository")
    return folder


def test_the_cases_get_their_right_values(cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [str(cases), *sys.path])
    import make_wrfout

    init = T - 3 * HOUR

    def rain(name: str) -> np.ndarray:
        make_wrfout.CASES[name](tmp_path / name)
        source = RwrpRain(Folder(str(tmp_path / name)))
        return source.read(source.find((T,), RAIN, init)).dataset["tp01"].values[0]

    def state(name: str) -> np.ndarray:
        make_wrfout.CASES[name](tmp_path / name)
        source = RwrpState(Folder(str(tmp_path / name)))
        return source.read(source.find((T,), STATE, init)).dataset["t2m"].values[0]

    np.testing.assert_allclose(rain("no_rainsh"), 2.5 + make_wrfout.I, atol=1e-4)
    np.testing.assert_allclose(rain(PLAIN), 2.5 + make_wrfout.I, atol=1e-4)
    np.testing.assert_allclose(rain("bucket_tip"), 5.0, atol=1e-4)
    with pytest.raises(BadInput, match="tp01 falls to"):
        rain("counter_fell")
    for name, tolerance in (("no_colons", 1e-4), ("nc_suffix", 1e-4), ("packed", 0.006)):
        np.testing.assert_allclose(state(name), state(PLAIN), atol=tolerance)
