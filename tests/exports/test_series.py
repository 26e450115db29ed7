"""The table of a place: what the members say there, hour by hour."""

import csv
import io

import numpy as np
import pandas
import pytest
import xarray as xr

from stormcast_tw.errors import BadInput
from stormcast_tw.exports import members as all_members
from stormcast_tw.exports.series import COLUMNS, Place, by_place
from tests.conftest import SMALL
from tests.products.by_hand import forecast, random_forecast

HERE = Place("10015", "花蓮縣", "Hualien County", 23.31, 120.79)


def rows(data: bytes) -> tuple[str, list[list[str]]]:
    comment, *lines = data.decode("utf-8-sig").splitlines()
    return comment, list(csv.reader(lines))


def test_by_hand():
    made = forecast(2, SMALL, tp01=[[0.0, 40.0], [1.25, 2.5]], u10m=[-3.0, 0.0], v10m=[4.0, 10.8], t2m=[300.0, 273.15])
    ((path, data),) = by_place(members=made, places=[HERE])
    comment, (columns, *body) = rows(data)
    assert path == "10015.csv"
    assert tuple(columns) == COLUMNS
    assert body == [
        ["2026-06-11T07:00Z", "2026-06-11 15:00", "0", "0.00", "5.00", "3", "26.85"],
        ["2026-06-11T07:00Z", "2026-06-11 15:00", "1", "1.25", "10.80", "6", "0.00"],
        ["2026-06-11T08:00Z", "2026-06-11 16:00", "0", "40.00", "5.00", "3", "26.85"],
        ["2026-06-11T08:00Z", "2026-06-11 16:00", "1", "2.50", "10.80", "6", "0.00"],
    ]
    assert comment.startswith("# SIMULATED 模擬資料，非真實天氣; 10015 花蓮縣 Hualien County; grid point")
    assert "init_time 2026-06-11T06:00Z = 2026-06-11 14:00 Taiwan" in comment
    real = dict(by_place(members=made.assign_attrs(simulated=0), places=[HERE]))["10015.csv"]
    assert "SIMULATED 模擬" not in rows(real)[0]


def test_it_is_the_nearest_point_and_pandas_reads_it():
    made = random_forecast(members=3, leads=4, grid=SMALL)
    ((_, data),) = by_place(members=made, places=[HERE])
    read = pandas.read_csv(io.BytesIO(data), comment="#", encoding="utf-8-sig")
    near = made.sel(latitude=HERE.latitude, longitude=HERE.longitude, method="nearest")
    near = near[list(made.data_vars)].transpose("lead_time", "member", ...)
    np.testing.assert_allclose(read["rain_mm"], near["tp01"].values.ravel(), atol=0.0051)
    np.testing.assert_allclose(read["wind_speed_m_s"], np.hypot(near["u10m"], near["v10m"]).values.ravel(), atol=0.0051)
    np.testing.assert_allclose(read["temperature_c"] + 273.15, near["t2m"].values.ravel(), atol=0.0051)


def test_a_place_outside_is_refused():
    with pytest.raises(BadInput, match=r"KH 高雄 at 22.6 N, 120.3 E: is outside the grid, allowed 23 to 23.6"):
        list(by_place(members=forecast(grid=SMALL), places=[Place("KH", "高雄", "Kaohsiung", 22.6, 120.3)]))
    with pytest.raises(BadInput, match="csv: the forecast has no v10m"):
        list(by_place(members=forecast(grid=SMALL).drop_vars("v10m"), places=[HERE]))


def test_all_members_in_one_netcdf(tmp_path):
    made = random_forecast(members=3, leads=2, grid=SMALL)
    ((path, data),) = all_members.netcdf(members=made)
    (tmp_path / path).write_bytes(data)
    with xr.open_dataset(tmp_path / path) as read:
        for name in made.data_vars:
            expected = made[name].transpose("lead_time", "member", ...).values
            np.testing.assert_array_equal(read[name].values, expected)
        assert read["tp01"].dims[:2] == ("time", "member")
    assert dict(all_members.netcdf(members=made)) == {path: data}
