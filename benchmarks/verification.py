"""How long one cycle takes to score: 16 members x 12 leads x 224 x 128 against ten baselines, STEPS aside.

One ensemble, five deterministic baselines and the same five dressed with 16 members; every score, every region. Wanted:
15 s on two cores, median of three. Expected before it was built, of single operations timed on one core: sorts 0.5 s,
probability-matched means 2 s, energy scores 0.3 s, spectra 0.5 s, fractions 1.2 s, tables and sums 1.5 s: 6 s on one
core. Run as OMP_NUM_THREADS=1 python benchmarks/verification.py.
"""

import os
from datetime import UTC, datetime
from statistics import median
from time import perf_counter, process_time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM
from stormcast_tw.verification.scores.statistics import Strata, score_cycle

MEMBERS, LEADS, WANTED = 16, 12, 15.0


def weather(rng: np.random.Generator, members: int) -> xr.Dataset:
    """Smooth random fields with a tenth of the points in rain."""
    shape = (members, LEADS, *TAIWAN_2KM.shape)
    smooth = {
        name: 5 * gaussian_filter(rng.standard_normal(shape, np.float32), (0, 0, 4, 4)) * 14
        for name in ("t2m", "u10m", "v10m", "tp01")
    }
    smooth["t2m"] += 295
    smooth["tp01"] = np.maximum(smooth["tp01"] - 6, 0) ** 1.5
    dims = ("member", "lead_time", "latitude", "longitude")
    leads = np.arange(1, LEADS + 1) * np.timedelta64(1, "h").astype("timedelta64[ns]")
    axes = {"lead_time": leads, "latitude": TAIWAN_2KM.y, "longitude": TAIWAN_2KM.x}
    return xr.Dataset({name: (dims, values) for name, values in smooth.items()}, axes)


def strata() -> Strata:
    """Land in the middle, mountains in the middle of the land."""
    latitude, longitude = TAIWAN_2KM.latlon()
    away = np.hypot((latitude - 23.6) / 1.5, (longitude - 121) / 0.6)
    masks = (xr.DataArray(away < limit, dims=("latitude", "longitude")) for limit in (1.0, 0.5))
    return Strata(*masks, "quiet", datetime(2026, 6, 11, 6, tzinfo=UTC))


def seconds(systems: dict[str, xr.Dataset], truth: xr.Dataset, workers: int) -> tuple[float, float]:
    """Wall and processor seconds, medians of three; on a machine that others use too they differ."""
    took = []
    for _ in range(3):
        before = perf_counter(), process_time()
        score_cycle(systems, truth, strata(), workers=workers)
        took.append((perf_counter() - before[0], process_time() - before[1]))
    wall, processor = zip(*took, strict=True)
    return median(wall), median(processor)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    truth = weather(rng, 1).isel(member=0)
    ensemble, single = weather(rng, MEMBERS), weather(rng, 1)
    deterministic = {f"baseline_{i}": single for i in range(5)}
    dressed = {f"baseline_{i}_dressed": ensemble for i in range(5)}
    everything = {"stormcast": ensemble, **deterministic, **dressed}
    (one, processor), (both, _) = seconds(everything, truth, 1), seconds(everything, truth, 2)
    print(f"11 systems, one thread:  {one:5.2f} s, of which on the processor {processor:.2f} s")
    print(
        f"11 systems, two threads: {both:5.2f} s, {both / WANTED:.0%} of the {WANTED:.0f} s allowed, {one / both:.2f} x"
    )
    for label, systems in (("one ensemble", {"stormcast": ensemble}), ("one deterministic", {"baseline_0": single})):
        print(f"{label}, one thread: {seconds(systems, truth, 1)[0]:.3f} s")
