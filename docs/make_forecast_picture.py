"""Draw the README's picture from a published run.

.venv/bin/python docs/make_forecast_picture.py var/published/demo docs/forecast.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import BoundaryNorm, ListedColormap

from stormcast_tw.model.description import describe, load_invariants
from stormcast_tw.settings import settings

RAIN = [0.1, 1, 2, 6, 10, 15, 20, 30, 40, 50]
RAIN_COLOURS = ["#9BFFFF", "#00CFFF", "#0198FF", "#0165FF", "#309901", "#32FF00", "#F8FF00", "#FFCB00", "#FF9A00"]
LEADS = (1, 3, 6, 12)


def main(experiment: Path, target: Path) -> None:
    """Draw temperature, wind and rain of the latest run at four lead times."""
    latest = json.loads((experiment / "latest.json").read_text())
    products = xr.open_dataset((experiment / latest["manifest"]).parent / "products.zarr").load()
    package = settings().package
    land = load_invariants(package, describe(package))["lsm"]
    rows = {
        "2 m temperature, mean (°C)": (products["t2m_mean"] - 273.15, {"cmap": "RdYlBu_r", "vmin": 5, "vmax": 35}),
        "10 m wind speed, 90 % (m/s)": (
            products["wind_speed_quantile"].sel(quantile=0.9),
            {"cmap": "YlGnBu", "vmin": 0, "vmax": 20},
        ),
        "rain in 1 h, 90 % (mm)": (
            products["tp01_quantile"].sel(quantile=0.9).where(lambda rain: rain >= RAIN[0]),
            {"cmap": ListedColormap(RAIN_COLOURS), "norm": BoundaryNorm(RAIN, len(RAIN_COLOURS)), "extend": "max"},
        ),
    }
    figure, axes = plt.subplots(3, len(LEADS), figsize=(10, 12.4), sharex=True, sharey=True, layout="constrained")
    for row, (title, (field, style)) in zip(axes, rows.items(), strict=True):
        extend = style.pop("extend", "both")
        for axis, lead in zip(row, LEADS, strict=True):
            here = field.sel(lead_time=np.timedelta64(lead, "h"))
            drawn = axis.pcolormesh(here["longitude"], here["latitude"], here, **style)
            axis.contour(here["longitude"], here["latitude"], land, levels=[0.5], colors="black", linewidths=0.6)
            axis.set_aspect(1 / np.cos(np.radians(23.6)))
            axis.set_title(f"+{lead} h, {str(here['valid_time'].values)[5:16].replace('T', ' ')} UTC", fontsize=9)
        figure.colorbar(drawn, ax=row, label=title, shrink=0.9, extend=extend)
    figure.suptitle(f"{products.attrs['title']}\ninit {latest['init_time']}, run {latest['run']}", fontsize=11)
    figure.savefig(target, dpi=80)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
