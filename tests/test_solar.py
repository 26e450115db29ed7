from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from stormcast_tw.solar import cos_zenith, hour_angle, year_phase


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("hour", [1, 4, 9, 20])
def test_agrees_with_physicsnemo(month: int, hour: int):
    from physicsnemo.utils.zenith_angle import cos_zenith_angle

    time = datetime(2026, month, 17, hour, 30, tzinfo=UTC)
    latitude, longitude = np.array([21.6, 23.5, 25.6]), np.array([119.8, 121.0, 122.2])
    assert cos_zenith(time, latitude, longitude) == pytest.approx(
        cos_zenith_angle(time, longitude, latitude), abs=0.006
    )


def test_sun_stands_overhead_on_the_tropic_at_midsummer_noon():
    noon_at_121_east = datetime(2026, 6, 21, 3, 58, tzinfo=UTC)
    assert cos_zenith(noon_at_121_east, 23.44, 121.0) == pytest.approx(1.0, abs=1e-4)


def test_the_solar_hour_tells_morning_from_afternoon():
    noon = datetime(2026, 6, 21, 3, 58, tzinfo=UTC)
    hours = [float(hour_angle(noon + timedelta(hours=h), 121.0)) for h in (-6, -1, 0, 1, 6)]
    assert hours == pytest.approx([-np.pi / 2, -np.pi / 12, 0, np.pi / 12, np.pi / 2], abs=1e-2)


def test_year_phase_starts_with_the_year():
    assert year_phase(datetime(2026, 1, 1, tzinfo=UTC)) == 0.0
    assert year_phase(datetime(2026, 7, 2, 15, tzinfo=UTC)) == pytest.approx(np.pi, abs=0.01)
