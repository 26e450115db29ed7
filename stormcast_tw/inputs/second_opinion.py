"""A second opinion on every input: measures of it by itself, and against whatever else says something about it.

Fields in, numbers by name out; no files and no limits, which stand in the region's table (`Region.input_limits`). A
number that cannot be formed, because a field is not there or an hour is dry, is left out. The name of a measure is a
group, a colon, and what is measured: the group says what is compared with what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

from stormcast_tw.grid import Grid
from stormcast_tw.regrid import bilinear, cell_mean, conservative, covers
from stormcast_tw.sources.translate.derive import GRAVITY, LAPSE_RATE, R_DRY, R_VAPOUR, over_water

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
Numbers = Iterator[tuple[str, float]]

EARTH_RADIUS_M, EARTH_ROTATION = 6.371e6, 7.292e-5
LOWLAND_M = 200.0
"""Below this altitude the 2-m temperatures of two models are compared; above, their mountains differ."""
CALM = 1.5
"""m s-1, added to the size of a wind before anything is divided by it, so that calm air gives no large ratio."""
UNBALANCED = 5.0
"""m s-1, the same for the geostrophic wind, which an error of 40 m2 s-2 over 200 km in z makes wrong by 3 m s-1."""
WET_MM, DRIZZLE_MM = 1.0, 0.5
"""kg m-2 in an hour: what counts as a wet cell; and what is added to mean rain before a ratio is formed."""
FEWEST_CELLS = 100
"""Fewer wet cells say nothing about texture."""
_LAYERS = ((1000, 850), (850, 500), (500, 250))


def measure(fields: Mapping[str, xr.Dataset], points: Grid) -> dict[str, float]:
    """Return every measure that can be formed of `fields`, by name.

    `fields` are datasets (valid_time, y, x) on their own grids, by name: `state`, `background` (its first hour is that
    of the state), `rain`, `past_rain`, `model_rain`; and what they are compared with: `state_before` (the same run an
    hour earlier), `background_before` (the provider's run before, same first hour) and `forecast` (ours of the cycle
    before). `points` is where fields of different grids are compared; a field that does not cover it is left out.
    """
    known = {name: dataset for name, dataset in fields.items() if covers(Grid.of(dataset), points)}
    return {f"{group}: {name}": value for group, numbers in _groups(known, points) for name, value in numbers}


def _groups(fields: Mapping[str, xr.Dataset], points: Grid) -> Iterator[tuple[str, Numbers]]:
    at = {name: _at(dataset, points) for name, dataset in fields.items() if "rain" not in name}
    state, background = at.get("state"), at.get("background")
    if background is not None:
        yield "background", _of_background(background, points)
        if (before := at.get("background_before")) is not None:
            yield "background and its run before", _of_two_runs(background, before)
    if state is not None:
        yield "state", _of_state(state)
        if (before := at.get("state_before")) is not None:
            yield "state and the hour before", _of_two_states(state, before)
        if background is not None:
            yield "background and ground", _of_background_and_ground(background, state["orog"][0])
            yield "state and background", _of_state_and_background(state, background)
        if (forecast := at.get("forecast")) is not None:
            yield "state and forecast", _of_two_states(state, forecast)
    if "rain" in fields and Grid.of(fields["rain"]).is_geographic:
        yield "rain", _of_rain(fields["rain"]["tp01"].values[0].astype(np.float64))
        yield "rain and hours before", _of_rain_and_past(fields["rain"], fields.get("past_rain"))
        yield from _of_rains(fields["rain"], fields.get("past_rain"), fields.get("model_rain"), points)


def _at(dataset: xr.Dataset, points: Grid) -> dict[str, FloatArray]:
    """Return every variable at the points, (valid_time, ny, nx)."""
    weights = bilinear(Grid.of(dataset), points)
    return {str(name): weights(array.values.astype(np.float64)) for name, array in dataset.data_vars.items()}


def _wind(fields: Mapping[str, FloatArray], level: str) -> ComplexArray:
    """Return u + iv of the first hour."""
    return np.asarray(fields[f"u{level}"][0] + 1j * fields[f"v{level}"][0])


def _size(wind: ComplexArray) -> float:
    return float(np.sqrt(np.mean(np.abs(wind) ** 2)))


def _sea_level_pressure(state: Mapping[str, FloatArray]) -> FloatArray:
    mean_t = state["t2m"][0] + 0.5 * LAPSE_RATE * state["orog"][0]
    return np.asarray(state["sp"][0] * np.exp(GRAVITY * state["orog"][0] / (R_DRY * mean_t)))


def _of_state(state: Mapping[str, FloatArray]) -> Numbers:
    yield "spread of t2m", float(state["t2m"][0].std())
    yield "least spread of u10m and v10m", float(min(state[name][0].std() for name in ("u10m", "v10m")))
    yield "spread of pressure at sea level", float(_sea_level_pressure(state).std())


def _of_state_and_background(state: Mapping[str, FloatArray], background: Mapping[str, FloatArray]) -> Numbers:
    low = state["orog"][0] < LOWLAND_M
    yield from _of_difference("t2m", state["t2m"][0][low], background["t2m"][0][low])
    yield from _of_difference("pressure at sea level", _sea_level_pressure(state), background["msl"][0])
    yield from _of_winds("10-m wind", _wind(state, "10m"), _wind(background, "10m"))


def _of_background_and_ground(background: Mapping[str, FloatArray], orography: FloatArray) -> Numbers:
    """How far t2m falls with altitude, in K per km: it shows whether the rows and columns lie where they should."""
    height = (orography - orography.mean()) / 1000.0
    falls = [float((t * height).mean() / (height**2).mean()) for t in background["t2m"]]
    yield "smallest fall of t2m with altitude", -max(falls)


def _of_two_states(state: Mapping[str, FloatArray], other: Mapping[str, FloatArray]) -> Numbers:
    yield from _of_difference("t2m", state["t2m"][0], other["t2m"][0])
    yield from _of_winds("10-m wind", _wind(state, "10m"), _wind(other, "10m"))


def _of_two_runs(background: Mapping[str, FloatArray], before: Mapping[str, FloatArray]) -> Numbers:
    for name in ("t2m", "msl", "t850", "q850", "z500"):
        yield from _of_difference(name, background[name][0], before[name][0])
    for level in ("10m", "500"):
        yield from _of_winds(f"{level.replace('10m', '10-m')} wind", _wind(background, level), _wind(before, level))


def _of_difference(name: str, one: FloatArray, other: FloatArray) -> Numbers:
    yield f"mean difference of {name}", float((one - other).mean())
    yield f"spread of the difference of {name}", float((one - other).std())


def _of_winds(name: str, wind: ComplexArray, other: ComplexArray, calm: float = CALM) -> Numbers:
    """Compare two winds u + iv: the slope of one on the other, and their difference in units of their mean size.

    The slope is 1 for equal winds, -1 for reversed ones, 1.94 for knots; in `calm` air it goes to 1.
    """
    covariance = float(np.mean((wind * np.conj(other)).real))
    yield f"slope of {name}", (covariance + calm**2) / (_size(other) ** 2 + calm**2)
    yield f"difference of {name} over its size", _size(wind - other) / (0.5 * (_size(wind) + _size(other)) + calm)


def _of_background(fields: Mapping[str, FloatArray], points: Grid) -> Numbers:
    """Of several hours the worst counts."""
    for name, values in fields.items():
        yield f"spread of {name}", float(values.std(axis=(1, 2)).min())
        if len(values) > 1 and name in ("t2m", "msl", "u10m", "v10m", "t850", "q850", "u850", "v850", "z500"):
            yield f"step of {name} in an hour", float(np.abs(np.diff(values.mean(axis=(1, 2)))).max())
    if len(fields["z500"]) > 1:
        yield "least change of z500 in an hour", float(np.abs(np.diff(fields["z500"], axis=0)).mean(axis=(1, 2)).min())
    yield "greatest mean relative humidity at 850 hPa", float(_relative_humidity(fields).mean(axis=(1, 2)).max())
    yield from _hydrostatic(fields)
    yield "t2m less t1000", _worst((fields["t2m"] - fields["t1000"]).mean(axis=(1, 2)))
    yield from _of_winds_of_each_hour("10-m wind against that at 1000 hPa", *_pair(fields, "10m", "1000"))
    yield from _of_winds("wind aloft against the geostrophic", *_aloft(fields, points), calm=UNBALANCED)


def _relative_humidity(fields: Mapping[str, FloatArray]) -> FloatArray:
    """Return that at 850 hPa over water, from 0 to about 1."""
    q, ratio = fields["q850"], R_DRY / R_VAPOUR
    return np.asarray(q * 85000.0 / (ratio + (1.0 - ratio) * q) / over_water(fields["t850"]))


def _hydrostatic(fields: Mapping[str, FloatArray]) -> Numbers:
    """Compare each layer's thickness with its mean virtual temperature, and msl with z1000."""
    for below, above in _LAYERS:
        virtual = [fields[f"t{p}"] * (1.0 + (R_VAPOUR / R_DRY - 1.0) * fields[f"q{p}"]) for p in (below, above)]
        expected = R_DRY * 0.5 * (virtual[0] + virtual[1]) * np.log(below / above)
        rest = fields[f"z{above}"] - fields[f"z{below}"] - expected
        yield f"thickness {below} to {above} hPa not hydrostatic", _worst(rest.mean(axis=(1, 2)))
        yield f"spread of thickness {below} to {above} hPa not hydrostatic", float(rest.std(axis=(1, 2)).max())
    rest = fields["msl"] - 1e5 * np.exp(fields["z1000"] / (R_DRY * fields["t1000"]))
    yield "msl less that of z1000", _worst(rest.mean(axis=(1, 2)))
    yield "spread of msl less that of z1000", float(rest.std(axis=(1, 2)).max())


def _pair(fields: Mapping[str, FloatArray], level: str, other: str) -> tuple[ComplexArray, ComplexArray]:
    one, two = (fields[f"u{name}"] + 1j * fields[f"v{name}"] for name in (level, other))
    return one, two


def _aloft(fields: Mapping[str, FloatArray], points: Grid) -> tuple[ComplexArray, ComplexArray]:
    """Return wind and geostrophic wind at 850, 500 and 250 hPa together, (valid_time, level, ny, nx)."""
    latitude, longitude = (np.radians(axis) for axis in points.latlon())
    dy = EARTH_RADIUS_M * np.gradient(latitude, axis=0)
    dx = EARTH_RADIUS_M * np.gradient(longitude, axis=1) * np.cos(latitude)
    coriolis = 2.0 * EARTH_ROTATION * np.sin(latitude)
    wind, balanced = [], []
    for level in (850, 500, 250):
        z_y, z_x = np.gradient(fields[f"z{level}"], axis=(1, 2))
        balanced.append((-z_y / dy + 1j * z_x / dx) / coriolis)
        wind.append(fields[f"u{level}"] + 1j * fields[f"v{level}"])
    return np.stack(wind, axis=1), np.stack(balanced, axis=1)


def _of_winds_of_each_hour(name: str, winds: ComplexArray, others: ComplexArray) -> Numbers:
    numbers = [dict(_of_winds("wind", wind, other)) for wind, other in zip(winds, others, strict=True)]
    slopes = [hour["slope of wind"] for hour in numbers]
    yield f"smallest slope of {name}", min(slopes)
    yield f"largest slope of {name}", max(slopes)
    yield f"difference of {name} over its size", max(hour["difference of wind over its size"] for hour in numbers)


def _worst(values: FloatArray) -> float:
    """Return the value farthest from 0, with its sign."""
    return float(values[np.argmax(np.abs(values))])


def _of_rain(now: FloatArray) -> Numbers:
    wet = now >= WET_MM
    if wet.sum() < FEWEST_CELLS:
        return
    steps = np.concatenate([np.diff(now, axis=axis).ravel() for axis in (0, 1)])
    yield "spread over mean of wet cells", float(now[wet].std() / now[wet].mean())
    yield "roughness", float(np.nanmean(steps**2) / (2.0 * np.nanvar(now))) if np.nanvar(now) else 0.0


def _of_rain_and_past(rain: xr.Dataset, past: xr.Dataset | None) -> Numbers:
    if past is None or Grid.of(past) != Grid.of(rain):
        return
    now, hours = rain["tp01"].values[0], past["tp01"].values
    wet, seen, were_seen = now >= DRIZZLE_MM, np.isfinite(now), np.isfinite(hours)
    if wet.sum() >= FEWEST_CELLS:
        yield (
            "share of wet cells equal to an earlier hour",
            max(float((hour[wet] == now[wet]).mean()) for hour in hours),
        )
    new = seen & ~were_seen.any(axis=0)
    yield "share newly observed", float(new.mean())
    yield "share newly observed, all of it dry", float(new.mean()) if not (now[new] > 0).any() else 0.0
    yield "share no longer observed", float((were_seen.all(axis=0) & ~seen).mean())


def _of_rains(
    rain: xr.Dataset, past: xr.Dataset | None, model: xr.Dataset | None, points: Grid
) -> Iterator[tuple[str, Numbers]]:
    """Compare mean rain where it is observed with the hour before and with the model's same hour.

    Rain is doubtful where it is far from both; the model's, where the observed was as wet an hour before.
    """
    now = conservative(Grid.of(rain), points)(rain["tp01"].values[0].astype(np.float64))
    pairs: dict[str, tuple[float, float]] = {}
    if past is not None and Grid.of(past).is_geographic:
        before = conservative(Grid.of(past), points)(past["tp01"].values[-1].astype(np.float64))
        pairs["before"] = _means(now, before)
    if model is not None:
        same_hour = cell_mean(Grid.of(model), points)(model["tp01"].values[0].astype(np.float64))
        pairs["model"] = _means(now, same_hour)
    logarithms = [float(np.log((here + DRIZZLE_MM) / (there + DRIZZLE_MM))) for here, there in pairs.values()]
    if logarithms and np.isfinite(logarithms).all():
        apart = min(logarithms) > 0 or max(logarithms) < 0
        nearer = min(logarithms, key=abs) if apart else 0.0
        yield "rain and others", iter([("logarithm of its ratio to the nearer one", nearer)])
    if len(pairs) == 2 and min(*pairs["before"], pairs["model"][0]) >= DRIZZLE_MM:
        yield "model rain", iter([("share of the observed rain", pairs["model"][1] / pairs["model"][0])])


def _means(rain: FloatArray, other: FloatArray) -> tuple[float, float]:
    """Return both means where both are known; NaN if that is nowhere."""
    both = np.isfinite(rain) & np.isfinite(other)
    return (float(rain[both].mean()), float(other[both].mean())) if both.any() else (float("nan"), float("nan"))
