"""RWRP: the files of a run, what is read of them, and the rain of an hour as a difference of accumulations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.grid import Grid
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState, path
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATE = variable_set("state", "t2m", "u10m", "v10m", "sp", "orog", "lsm")
RAIN = variable_set("rain", "tp01")


def write_run(writer, root: Path, init_time: datetime, *leads: int, **more) -> None:
    for lead in leads:
        valid_time = init_time + lead * HOUR
        writer.write(root / path(init_time, valid_time), init_time, [valid_time], **more)


def test_the_name_of_a_file_is_wrf_s_own():
    assert path(T, T + HOUR) == "2026061106/wrfout_d02_2026-06-11_07:00:00"


def test_the_run_that_is_asked_for_serves_and_no_other(lambert, tmp_path: Path):
    source = RwrpState(Folder(str(tmp_path)))
    write_run(lambert, tmp_path, T, 0)
    write_run(lambert, tmp_path, T - 6 * HOUR, 6)
    found = source.find((T,), STATE, T - 6 * HOUR)
    assert found.init_time == T - 6 * HOUR
    assert [file.address for file in found.files] == [f"{tmp_path}/{path(T - 6 * HOUR, T)}"]
    with pytest.raises(NotReady, match=r"2026061105/wrfout_d02_2026-06-11_06:00:00: not there yet"):
        source.find((T,), STATE, T - HOUR)


def test_rain_needs_both_ends_of_the_hour_of_one_run(lambert, tmp_path: Path):
    source = RwrpRain(Folder(str(tmp_path)))
    write_run(lambert, tmp_path, T, 0)
    write_run(lambert, tmp_path, T - HOUR, 1)
    for init_time in (T, T - HOUR):
        with pytest.raises(NotReady, match=rf"{path(init_time, T - HOUR)}: not there yet"):
            source.find((T,), RAIN, init_time)
    write_run(lambert, tmp_path, T - HOUR, 0)
    found = source.find((T,), RAIN, T - HOUR)
    assert [file.address for file in found.files] == [
        f"{tmp_path}/{path(T - HOUR, T - HOUR)}",
        f"{tmp_path}/{path(T - HOUR, T)}",
    ]


def test_the_state_comes_out_under_our_names_and_units(lambert, tmp_path: Path):
    write_run(lambert, tmp_path, T - HOUR, 1)
    source = RwrpState(Folder(str(tmp_path)))
    dataset = source.read(source.find((T,), STATE, T - HOUR)).dataset
    assert tuple(dataset.data_vars) == STATE.ids
    assert dataset["t2m"].dims == ("valid_time", "y", "x")
    assert all(array.dtype == np.float32 for array in dataset.data_vars.values())
    assert dataset["valid_time"].values == np.array(["2026-06-11T06:00:00"], "datetime64[ns]")
    assert dataset["t2m"].attrs["units"] == "K"
    assert dataset["u10m"].attrs["standard_name"] == "eastward_wind"
    assert dataset.attrs == {"source": "rwrp", "init_time": "2026-06-11T05:00:00Z", "simulated": 0}
    fields = lambert.fields()
    for variable_id, name in (("t2m", "T2"), ("sp", "PSFC"), ("orog", "HGT"), ("lsm", "LANDMASK")):
        np.testing.assert_allclose(dataset[variable_id].values[0], fields[name], rtol=1e-6)
    expected = fields["U10"] * lambert.cos_alpha - fields["V10"] * lambert.sin_alpha
    np.testing.assert_allclose(dataset["u10m"].values[0], expected, atol=1e-5)
    grid = Grid.of(dataset)
    np.testing.assert_allclose(grid.latlon()[0], lambert.latitude, atol=1e-5)


def test_simulated_files_say_so(lambert, tmp_path: Path):
    write_run(lambert, tmp_path, T, 0, 1, attributes={"TITLE": " SIMULATED OUTPUT"})
    state, rain = RwrpState(Folder(str(tmp_path))), RwrpRain(Folder(str(tmp_path)))
    assert state.read(state.find((T,), STATE, T)).dataset.attrs["simulated"] == 1
    assert rain.read(rain.find((T + HOUR,), RAIN, T)).dataset.attrs["simulated"] == 1


def test_several_times_come_from_one_run(lambert, tmp_path: Path):
    write_run(lambert, tmp_path, T, 0, 1, 2)
    write_run(lambert, tmp_path, T + HOUR, 0)
    state, rain = RwrpState(Folder(str(tmp_path))), RwrpRain(Folder(str(tmp_path)))
    found = state.find((T, T + HOUR), STATE, T)
    assert state.read(found).dataset.sizes["valid_time"] == 2
    both = rain.find((T + HOUR, T + 2 * HOUR), RAIN, T)
    assert len(both.files) == 3
    assert rain.read(both).dataset["tp01"].shape == (2, lambert.ny, lambert.nx)


def test_several_times_of_one_file_are_read_by_their_stamp(lambert, located, tmp_path: Path):
    warmer = np.stack([lambert.fields()["T2"] + k for k in range(3)])
    file = lambert.write(tmp_path / "wrfout_d02_all", T, [T, T + HOUR, T + 2 * HOUR], fields={"T2": warmer})
    wanted = located("rwrp", [file], [T + 2 * HOUR], ["t2m"], T)
    dataset = RwrpState(Folder(str(tmp_path))).read(wanted).dataset
    np.testing.assert_allclose(dataset["t2m"].values[0], warmer[2], rtol=1e-6)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"fields": {"T2": 22.0}}, r"t2m spans 22 to 22 K; allowed 220 to 330"),
        ({"fields": {"PSFC": 1000.0}}, r"sp spans 1000 to 1000 Pa; allowed 45000 to 108000"),
        ({"fields": {"U10": 300.0, "V10": 0.0}}, r"u10m spans 299\.\d+ to 300 m s-1; allowed -90 to 90"),
        ({"fields": {"T2": np.nan}}, r"t2m has 9900 of 9900 values that are not finite; allowed 0"),
        ({"without": ["T2"]}, r"has no variable T2; found .*PSFC"),
        ({"without": ["DX"]}, r"has no global attribute DX"),
        ({"attributes": {"SIMULATION_START_DATE": "yesterday"}}, r"SIMULATION_START_DATE is 'yesterday'; allowed YYYY"),
        (
            {"attributes": {"SIMULATION_START_DATE": "2026-06-11_00:00:00"}},
            r"is 2026-06-11_00:00:00; allowed 2026-06-11_06",
        ),
    ],
)
def test_an_unbelievable_state_is_refused(lambert, tmp_path: Path, more, message: str):
    write_run(lambert, tmp_path, T, 0, **more)
    source = RwrpState(Folder(str(tmp_path)))
    with pytest.raises(BadInput, match=r"wrfout_d02_2026-06-11_06:00:00: .*" + message):
        source.read(source.find((T,), STATE, T))


BYTES = {
    "empty": (lambda data: b"", r"begins with b''; allowed a NetCDF file"),
    "a page": (lambda data: b"<!DOCTYPE html><html>404</html>", r"begins with b'<!DOCTYP'; allowed a NetCDF file"),
    "a zip": (lambda data: b"PK\x03\x04" + data, r"begins with b'PK\\x03\\x04.*'; allowed a NetCDF file"),
    "truncated": (lambda data: data[: len(data) // 2], r"not a whole NetCDF-4 file \(.*truncated file"),
    "another grid": (None, r"XLAT and XLONG lie up to \S+ cells from the projection .* allowed 0\.01"),
}


@pytest.mark.parametrize("source", [RwrpState, RwrpRain])
@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_wrfout_are_refused(lambert, mercator, tmp_path: Path, name: str, source):
    damage, message = BYTES[name]
    write_run(lambert, tmp_path, T, 0, 1)
    for file in (tmp_path / path(T, T), tmp_path / path(T, T + HOUR)):
        if damage is None:
            away = {"XLAT": mercator.latitude, "XLONG": mercator.longitude}
            lambert.write(file, T, [T + HOUR if file.name.endswith("07:00:00") else T], fields=away)
        else:
            file.write_bytes(damage(file.read_bytes()))
    reader = source(Folder(str(tmp_path)))
    located = reader.find((T + HOUR,), STATE if source is RwrpState else RAIN, T)
    with pytest.raises(BadInput, match=r"wrfout_d02_2026-06-11_0\d:00:00: " + message):
        reader.read(located)


def test_a_file_replaced_since_it_was_found_is_not_ready(lambert, tmp_path: Path):
    write_run(lambert, tmp_path, T, 0)
    source = RwrpState(Folder(str(tmp_path)))
    located = source.find((T,), STATE, T)
    write_run(lambert, tmp_path, T, 0, fields={"T2": 299.0})
    with pytest.raises(NotReady, match=r"06:00:00: changed while it was read \(now .*\); look again"):
        source.read(located)


def test_what_rwrp_does_not_have_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match=r"rwrp: does not provide tp01, refc; it provides t2m, sp"):
        RwrpState(Folder(str(tmp_path))).find((T,), variable_set("asked", "t2m", "tp01", "refc"))
    with pytest.raises(BadInput, match=r"rwrp: does not provide t2m; it provides tp01"):
        RwrpRain(Folder(str(tmp_path))).find((T,), variable_set("asked", "t2m"))
    with pytest.raises(ValueError, match="no time zone"):
        RwrpState(Folder(str(tmp_path))).find((datetime(2026, 6, 11, 6),), STATE, T)
    with pytest.raises(ValueError, match="rwrp: a forecast is asked for by its init_time"):
        RwrpState(Folder(str(tmp_path))).find((T,), STATE)


def rain_of(writer, root: Path, first: dict, last: dict, bucket: float = -1.0):
    writer.write(root / path(T, T), T, [T], fields=first, attributes={"BUCKET_MM": np.float32(bucket)})
    after = root / path(T, T + HOUR)
    writer.write(after, T, [T + HOUR], fields=last, attributes={"BUCKET_MM": np.float32(bucket)})
    source = RwrpRain(Folder(str(root)))
    return source.read(source.find((T + HOUR,), RAIN, T)).dataset


def test_rain_is_the_difference_of_all_three_schemes(lambert, tmp_path: Path):
    first = {"RAINC": 1.0, "RAINNC": 10.0, "RAINSH": 0.25}
    dataset = rain_of(lambert, tmp_path, first, {"RAINC": 1.5, "RAINNC": 14.0, "RAINSH": 0.75})
    np.testing.assert_array_equal(dataset["tp01"].values, np.full((1, lambert.ny, lambert.nx), 5.0, np.float32))
    assert dataset["tp01"].attrs["clipped_negatives"] == 0
    assert dataset["tp01"].attrs["cell_methods"] == "time: sum"
    assert dataset["valid_time"].values[0] == np.datetime64("2026-06-11T07:00:00")


def test_buckets_that_tip_within_the_hour_are_counted(lambert, tmp_path: Path):
    first = {"RAINC": 95.0, "I_RAINC": 0, "RAINNC": 99.0, "I_RAINNC": 2}
    last = {"RAINC": 2.0, "I_RAINC": 1, "RAINNC": 9.0, "I_RAINNC": 3}
    dataset = rain_of(lambert, tmp_path, first, last, bucket=100.0)
    np.testing.assert_array_equal(dataset["tp01"].values[0], np.full((lambert.ny, lambert.nx), 17.0, np.float32))


def test_without_buckets_their_counters_mean_nothing(lambert, tmp_path: Path):
    last = {"RAINNC": 12.0, "I_RAINNC": 7, "I_RAINC": 7}
    dataset = rain_of(lambert, tmp_path, {"RAINNC": 10.0}, last, bucket=-1.0)
    np.testing.assert_array_equal(dataset["tp01"].values[0], np.full((lambert.ny, lambert.nx), 2.0, np.float32))


def test_small_negatives_become_zero_and_are_counted(lambert, tmp_path: Path):
    last = np.full((lambert.ny, lambert.nx), 10.0)
    last[3, 4:7] = 9.95
    dataset = rain_of(lambert, tmp_path, {"RAINNC": 10.0}, {"RAINNC": last})
    assert dataset["tp01"].attrs["clipped_negatives"] == 3
    assert float(dataset["tp01"].min()) == 0.0


def test_large_negatives_and_impossible_rain_are_refused(lambert, tmp_path: Path):
    where = r"wrfout_d02_2026-06-11_07:00:00: "
    with pytest.raises(BadInput, match=where + r"tp01 falls to -0\.2\d* kg m-2; allowed no lower than -0\.1"):
        rain_of(lambert, tmp_path, {"RAINNC": 10.0}, {"RAINNC": 9.8})
    with pytest.raises(BadInput, match=where + r"tp01 spans 2000 to 2000 kg m-2; allowed 0 to 300"):
        rain_of(lambert, tmp_path, {"RAINNC": 10.0}, {"RAINNC": 2010.0})
    # the same fill value in both files would look like no rain
    with pytest.raises(BadInput, match=r"accumulated rain spans 9\.96\d*e\+36 to .* allowed -0\.1 to 20000"):
        rain_of(lambert, tmp_path, {"RAINNC": 9.96921e36}, {"RAINNC": 9.96921e36})
    with pytest.raises(BadInput, match=re.escape("accumulated rain spans nan to nan mm")):
        rain_of(lambert, tmp_path, {"RAINNC": np.nan}, {"RAINNC": np.nan})


def test_rain_of_two_runs_or_two_grids_is_never_mixed(lambert, mercator, tmp_path: Path):
    source = RwrpRain(Folder(str(tmp_path)))
    before, after = (tmp_path / path(T, T + lead * HOUR) for lead in (0, 1))
    lambert.write(before, T - HOUR, [T])
    lambert.write(after, T, [T + HOUR])
    with pytest.raises(BadInput, match="SIMULATION_START_DATE is 2026-06-11_05:00:00; allowed 2026-06-11_06:00:00"):
        source.read(source.find((T + HOUR,), RAIN, T))
    mercator.write(before, T, [T])
    with pytest.raises(BadInput, match=r"07:00:00: the grid moves from 110 x 90 points from .* m; allowed one"):
        source.read(source.find((T + HOUR,), RAIN, T))
