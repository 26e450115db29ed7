"""Draw an hour of each simulated regime: the truth beside what QPESUMS, RWRP and the global model see.

Usage: python docs/make_regimes.py [folder]; needs matplotlib (not a dependency of the project).
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap

from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.simulation.files import global_ai, qpesums, rwrp
from stormcast_tw.simulation.world.box import INNER, terrain
from stormcast_tw.simulation.world.regimes import REGIMES
from stormcast_tw.simulation.world.weather import World

START, DAYS = datetime(2021, 1, 1, 5, tzinfo=UTC), 730
RAIN_MM = [0.25, 1, 2, 5, 10, 15, 20, 30, 40, 50, 70, 90, 130]
RAIN_COLOURS = ["#9ee5ff", "#4fc3f7", "#1e88e5", "#1545c0", "#2e9d3a", "#6fd14b", "#e8e337", "#f7b32b",
                "#f47c20", "#e0301e", "#a3142a", "#a02fb0"]  # fmt: skip
LEAD_HOURS, GLOBAL_LEAD_HOURS = 3, 12


def hours_of_regimes(world: World) -> dict[str, datetime]:
    """Return an hour of each regime: the wettest of a few candidates, the driest for quiet weather."""
    found: dict[str, list[datetime]] = {}
    for hour in range(0, DAYS * 24, 3):
        time = START + timedelta(hours=hour)
        found.setdefault(world.regime(time), []).append(time)
    chosen = {}
    for regime in REGIMES:
        times = found[regime][:: max(1, len(found[regime]) // 16)]
        rain = [world.box(time)["tp01"][INNER].mean() for time in times]
        order = np.argsort(rain)
        chosen[regime] = times[int(order[len(order) // 5 if regime == "quiet" else -2])]
    return chosen


def draw(world: World, regime: str, time: datetime, path: Path) -> None:
    """Draw one hour as two rows of four maps."""
    figure, axes = plt.subplots(2, 4, figsize=(17, 13.5), constrained_layout=True)
    figure.suptitle(f"SIMULATED {regime.replace('_', ' ')}, {time:%Y-%m-%d %H UTC}", fontsize=15)
    rain_norm, rain_map = BoundaryNorm(RAIN_MM, len(RAIN_COLOURS)), ListedColormap(RAIN_COLOURS)
    rain_map.set_over("#5b0b6b")
    truth, forecast = world.box(time), rwrp.run_on_box(world, time - timedelta(hours=LEAD_HOURS), LEAD_HOURS)
    inner = {name: values[INNER] for name, values in truth.items()}
    latitude, longitude = TAIWAN_2KM.latlon()
    for axis, title, field in (
        (axes[0, 0], "truth: rain, mm in the hour", inner["tp01"]),
        (axes[0, 2], f"RWRP at lead {LEAD_HOURS} h: rain", forecast["tp01"][INNER]),
    ):
        _rain(axis, longitude, latitude, field, rain_map, rain_norm)
        axis.set_title(f"{title} (max {field.max():.0f})")
    raw = qpesums.observed_rain(world, time)
    observed = np.where(raw < 0, np.nan, raw / qpesums.SCALE)
    y, x = qpesums.GRID.latlon()
    drawn = _rain(axes[0, 1], x, y, observed, rain_map, rain_norm)
    axes[0, 1].contourf(x, y, (raw < 0).astype(float), levels=[0.5, 1.5], colors=["0.8"])
    axes[0, 1].set_title("QPESUMS: rain, grey not observed")
    figure.colorbar(drawn, ax=axes[0, :3], shrink=0.6, ticks=RAIN_MM, extend="max", pad=0.01)
    _global_map(axes[0, 3], world, time)
    limits = np.percentile(inner["t2m"], [1, 99.5]) - 273.15
    for axis, title, fields in (
        (axes[1, 0], "truth: t2m, °C, and 10 m wind", inner),
        (axes[1, 2], f"RWRP at lead {LEAD_HOURS} h", {name: values[INNER] for name, values in forecast.items()}),
    ):
        shown = axis.pcolormesh(
            longitude, latitude, fields["t2m"] - 273.15, cmap="Spectral_r", vmin=limits[0], vmax=limits[1]
        )
        _arrows(axis, longitude[::9, ::9], latitude[::9, ::9], fields["u10m"][::9, ::9], fields["v10m"][::9, ::9])
        axis.set_title(title)
    speed = axes[1, 1].pcolormesh(longitude, latitude, np.hypot(inner["u10m"], inner["v10m"]), cmap="viridis", vmin=0)
    axes[1, 1].set_title("truth: 10 m wind speed, m/s")
    figure.colorbar(speed, ax=axes[1, 1], shrink=0.6)
    figure.colorbar(shown, ax=axes[1, 2], shrink=0.6)
    _global_surface(axes[1, 3], world, time, limits)
    for axis in (axes[0, 0], axes[0, 1], axes[0, 2], *axes[1]):
        axis.contour(longitude, latitude, terrain().land[INNER], levels=[0.5], colors="k", linewidths=0.9)
        axis.set(xlim=(119.75, 122.25), ylim=(21.6, 25.6))
        axis.set_aspect(1.09)
    figure.savefig(path, dpi=55)
    plt.close(figure)


def _rain(axis, longitude, latitude, field, colours, norm):
    return axis.pcolormesh(longitude, latitude, np.where(field < 0.25, np.nan, field), cmap=colours, norm=norm)


def _arrows(axis, x, y, u, v):
    axis.quiver(x, y, u, v, scale=max(120.0, 9.0 * float(np.hypot(u, v).max())), width=0.004)


def _global(world: World, time: datetime) -> dict:
    start = time - timedelta(hours=GLOBAL_LEAD_HOURS)
    return global_ai.run_fields(world, start, GLOBAL_LEAD_HOURS)


def _global_map(axis, world: World, time: datetime) -> None:
    """Sea level pressure, 850 hPa humidity and wind of the whole window."""
    latitude, longitude = global_ai.points()
    fields = _global(world, time)
    axis.contourf(longitude, latitude, fields["q850"] * 1e3, cmap="BrBG", levels=np.arange(2, 19, 1), extend="both")
    lines = axis.contour(
        longitude, latitude, fields["msl"] / 100.0, levels=np.arange(960, 1050, 1), colors="k", linewidths=0.8
    )
    axis.clabel(lines, fontsize=7)
    cut = (slice(None, None, 5), slice(None, None, 5))
    _arrows(axis, longitude[cut], latitude[cut], fields["u850"][cut], fields["v850"][cut])
    axis.plot([119.75, 122.25, 122.25, 119.75, 119.75], [21.6, 21.6, 25.6, 25.6, 21.6], "r")
    axis.set_title(f"global at lead {GLOBAL_LEAD_HOURS} h: msl, q and wind at 850 hPa")
    axis.set_aspect(1.09)


def _global_surface(axis, world: World, time: datetime, limits) -> None:
    latitude, longitude = global_ai.points()
    fields = _global(world, time)
    axis.pcolormesh(longitude, latitude, fields["t2m"] - 273.15, cmap="Spectral_r", vmin=limits[0], vmax=limits[1])
    _arrows(axis, longitude, latitude, fields["u10m"], fields["v10m"])
    axis.set_title(f"global at lead {GLOBAL_LEAD_HOURS} h: t2m and 10 m wind")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "regimes"
    folder.mkdir(parents=True, exist_ok=True)
    simulated = World()
    for name, hour in hours_of_regimes(simulated).items():
        draw(simulated, name, hour, folder / f"{name}.png")
        print(f"{folder / name}.png {hour:%Y-%m-%dT%H}Z")
