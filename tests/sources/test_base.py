"""What all sources share: request checks and the dataset they return."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.sources.base import Located, on_grid, require_init_time, require_times, require_variables
from stormcast_tw.variables import VARIABLES, variable_set

T = datetime(2026, 6, 11, 6, tzinfo=UTC)


def test_times_are_aware_ascending_and_some():
    taipei = T.astimezone(timezone(timedelta(hours=8)))
    assert require_times("s", (taipei,)) == (T,)
    assert require_times("s", (taipei,))[0].tzinfo is UTC
    for times in ((), (T, T), (T, T - timedelta(hours=1))):
        with pytest.raises(ValueError, match="must be ascending and not empty"):
            require_times("s", times)
    with pytest.raises(ValueError, match="no time zone"):
        require_times("s", (T.replace(tzinfo=None),))


def test_a_forecast_is_asked_for_by_its_init_time():
    taipei = T.astimezone(timezone(timedelta(hours=8)))
    assert require_init_time("s", taipei) == T
    assert require_init_time("s", taipei).tzinfo is UTC
    with pytest.raises(ValueError, match="s: a forecast is asked for by its init_time"):
        require_init_time("s", None)
    with pytest.raises(ValueError, match="no time zone"):
        require_init_time("s", T.replace(tzinfo=None))
    asked = variable_set("asked", "t2m")
    assert Located("s", (), (T,), asked, T).forecast_from() == T
    with pytest.raises(ValueError, match="s: a located forecast needs an init_time"):
        Located("s", (), (T,), asked).forecast_from()


def test_variables_a_source_does_not_have_are_named():
    require_variables("s", ("t2m", "sp"), variable_set("asked", "sp"))
    with pytest.raises(BadInput, match="s: does not provide tp01, refc; it provides t2m, sp"):
        require_variables("s", ("t2m", "sp"), variable_set("asked", "tp01", "sp", "refc"))


def test_the_dataset_is_cf_and_gives_its_grid_back():
    dataset = on_grid(TAIWAN_2KM, (T,), {VARIABLES["t2m"]: np.full((1, 224, 128), 290.0)}, {"source": "s"})
    assert dataset["t2m"].dims == ("valid_time", "latitude", "longitude")
    assert dataset["t2m"].dtype == np.float32
    assert dataset["t2m"].attrs["grid_mapping"] == "crs"
    assert dataset["valid_time"].dtype == "datetime64[ns]"
    assert dataset["valid_time"].attrs["standard_name"] == "time"
    assert dataset.attrs["source"] == "s"
    assert Grid.of(dataset) == TAIWAN_2KM
