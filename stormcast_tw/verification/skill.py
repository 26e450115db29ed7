"""Is the system getting worse? A rolling skill, compared with the band of its earlier values.

The skill of a variable is 1 - CRPS / CRPS of persistence, both summed over all leads and points of the newest week: a
ratio, so that quiet and violent weeks can be compared. The band is mean - 3 standard deviations of the same skill of
weeks drawn from the four weeks before, in blocks of a day (moving block bootstrap). Below the band, skill has dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import xarray as xr
from pydantic import AwareDatetime

from stormcast_tw.errors import Conflict
from stormcast_tw.plan import Frozen
from stormcast_tw.storage.store import Store
from stormcast_tw.verification.systems.pairs import FORECAST

Floats = npt.NDArray[np.float64]

RECENT, BEFORE = timedelta(days=7), timedelta(days=28)
WIDTH = 3.0
"""Half-width of the band in standard deviations: of normally distributed weeks, one in 740 is below by chance."""
BLOCK = 4
"""Cycles that are drawn together, a day: errors of one day share their weather."""
RESAMPLES = 1000
FEWEST_RECENT, FEWEST_BEFORE = 14, 56
"""Half of the cycles of each period; with fewer there is no verdict."""
REFERENCE = "persistence"
JUDGED = ("t2m", "wind", "tp01")
_ATTEMPTS = 20


class Skill(Frozen):
    """The skill of a variable in the newest week, and its mean and standard deviation over earlier weeks."""

    variable: str
    until: AwareDatetime
    recent: float
    mean: float
    std: float
    cycles: tuple[int, int]
    """Number of cycles in the newest week, and in the four weeks before."""

    @property
    def lowest(self) -> float:
        """The lower edge of the band."""
        return self.mean - WIDTH * self.std

    @property
    def dropped(self) -> bool:
        """True below the band."""
        return self.recent < self.lowest

    @property
    def text(self) -> str:
        """One line for people."""
        where, (week, before) = "below" if self.dropped else "within", self.cycles
        return (
            f"{self.variable}: skill against {REFERENCE} {self.recent:.3f}, {where} its band from {self.lowest:.3f}"
            f" ({self.mean:.3f} - {WIDTH:g} x {self.std:.3f}; {week} cycles of a week, {before} before)"
        )


def rolling_skill(cycles: Sequence[xr.Dataset], seed: int = 0) -> tuple[Skill, ...]:
    """Return the skill of each variable of JUDGED from statistics of single cycles; () if there are too few."""
    ordered = sorted((c for c in cycles if REFERENCE in c["system"].values), key=lambda c: c["init_time"].values)
    if not ordered:
        return ()
    last = ordered[-1]["init_time"].values
    edge = last - np.timedelta64(RECENT)
    recent = [c for c in ordered if c["init_time"].values > edge]
    before = [c for c in ordered if edge - np.timedelta64(BEFORE) < c["init_time"].values <= edge]
    if len(recent) < FEWEST_RECENT or len(before) < FEWEST_BEFORE:
        return ()
    until = datetime.fromisoformat(f"{np.datetime_as_string(last, 's')}+00:00")
    rng, of_week, of_before = np.random.default_rng(seed), _sums(recent), _sums(before)
    skills = []
    for number, variable in enumerate(JUDGED):
        mean, std = band(of_before[:, number], len(recent), rng)
        week = float(_ratio(of_week[:, number].sum(axis=0)))
        counts = (len(recent), len(before))
        skills.append(Skill(variable=variable, until=until, recent=week, mean=mean, std=std, cycles=counts))
    return tuple(skills)


def band(sums: Floats, count: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the mean and standard deviation of the skill over `count` cycles drawn from `sums` (cycle, 2).

    `sums` are the CRPS of forecast and reference for consecutive cycles; they are drawn in circular blocks of a day.
    """
    starts = rng.integers(0, len(sums), (RESAMPLES, -(-count // BLOCK)))
    places = (starts[:, :, None] + np.arange(BLOCK)).reshape(RESAMPLES, -1)[:, :count] % len(sums)
    weeks = _ratio(sums[places].sum(axis=1))
    return float(weeks.mean()), float(weeks.std(ddof=1))


def _sums(cycles: Sequence[xr.Dataset]) -> Floats:
    """Return the CRPS of forecast and reference (cycle, variable, 2), summed over the leads that both have."""
    rows = []
    for cycle in cycles:
        both = cycle[["crps", "count"]].sel(system=[FORECAST, REFERENCE], variable=list(JUDGED), region="all")
        both = both.transpose("variable", "system", "lead_time")
        in_both = (both["count"].values > 0).all(axis=1, keepdims=True)
        rows.append(np.where(in_both, both["crps"].values, 0.0).sum(axis=-1))
    return np.array(rows)


def _ratio(sums: Floats) -> Floats:
    skill: Floats = 1.0 - sums[..., 0] / sums[..., 1]
    return skill


def note_changes(store: Store, path: str, skills: Sequence[Skill]) -> list[Skill]:
    """Record at `path` which variables have dropped; return those that have dropped since the last call.

    A drop is returned once, and again only after the skill has been back in its band. Of two concurrent processes only
    one gets it.
    """
    now = {skill.variable: skill.dropped for skill in skills}
    for _ in range(_ATTEMPTS):
        seen = store.read_pointer(path)
        before: dict[str, bool] = (seen.value or {}).get("dropped", {})
        new = [skill for skill in skills if skill.dropped and not before.get(skill.variable, False)]
        if before | now == before and seen.value is not None:
            return []
        try:
            store.move_pointer(path, seen, {"dropped": before | now, "until": f"{skills[0].until:%Y-%m-%dT%H:%MZ}"})
        except Conflict:
            continue
        return new
    raise Conflict(f"{store.root}/{path}: was moved by others {_ATTEMPTS} times in a row")
