"""What a trained package must show on held-out hours before it ships, besides its scores.

Three questions that a score does not answer: does it stay within physical bounds in a long run, does its diffusion do
more than add noise, and does it develop grain that the truth does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.stormcast import StormCast
from stormcast_tw.plan import Frozen, Sampler
from stormcast_tw.training.starting_package import uncalibrated
from stormcast_tw.training.validation import ensemble, places_of
from stormcast_tw.training_data.reader import TrainingData
from stormcast_tw.verification.scores.ensemble import differences, fair_crps
from stormcast_tw.verification.scores.spectra import OCTAVES, octave_power

FloatArray = npt.NDArray[np.float64]
LONG_HOURS, LONG_MEMBERS = 48, 2
GRAIN_HOURS, GRAIN_MEMBERS = 12, 2
FIRST_MEMBERS = 8
RAIN_BIAS = 0.15
GRAIN = (1 / 3, 3.0)
FINE = ("40-20", "20-10")
"""Octaves (km) in which grid-scale grain would show: winds of 8 to 32 km."""
_EXACT = Sampler(name="dpmpp_2m", steps=64, sigma_min=0.005, sigma_max=80.0, rho=7.0)
"""Enough steps for white noise to leave the sampler with its own variance."""


class Criterion(Frozen):
    """One criterion: what was found, what is allowed, and whether the criterion is met."""

    what: str
    found: float
    allowed: str
    kept: bool


class White(torch.nn.Module):
    """The denoiser of white noise of unit variance, x / (1 + sigma^2): its samples merely dress a regression."""

    def forward(self, noisy: torch.Tensor, sigma: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return the denoised (b, c, y, x); the condition is ignored."""
        return noisy / (1 + sigma[:, None, None, None] ** 2)


@dataclass(frozen=True)
class _Place:
    """One held-out hour: `truth` and `observed` from it on, hour by hour; `states` yields (lead, members' states)."""

    truth: npt.NDArray[np.float32]
    observed: npt.NDArray[np.bool_]
    states: Iterator[tuple[int, npt.NDArray[np.float32]]]


def accept(
    package: ModelPackage, data: TrainingData, cycles: int, report: Callable[[str], None] = lambda _: None
) -> tuple[Criterion, ...]:
    """Return all findings, each over `cycles` held-out hours. Raises Refused if no 48 of them are consecutive."""
    model = StormCast(package)
    return (*_long(model, data, cycles, report), *_first(package, data, cycles, report), *_grain(model, data, cycles))


def _places(model: StormCast, data: TrainingData, cycles: int, hours: int, members: int) -> Iterator[_Place]:
    held_out = data.of("held_out")
    for place in places_of(held_out, hours, cycles):
        truth, observed = held_out.state(place, hours + 1), held_out.observed(place, hours + 1)
        yield _Place(truth, observed, ensemble(model, held_out, members, hours, place))


def _long(model: StormCast, data: TrainingData, cycles: int, report: Callable[[str], None]) -> Iterator[Criterion]:
    """Run for two days: is any value held back by a physical bound, and does it rain as much as it should?"""
    ids = model.package.state_set.ids
    bounds = np.array([v.valid_range for v in model.package.state_set], np.float32)[:, :, None, None]
    held, points, rain = 0, 0, np.zeros(2)
    for number, place in enumerate(_places(model, data, cycles, LONG_HOURS, LONG_MEMBERS)):
        report(f"{LONG_HOURS} h from held-out hour {number + 1} of {cycles}")
        for lead, states in place.states:
            at_bound = (states >= bounds[:, 1]) | ((states <= bounds[:, 0]) & (bounds[:, 0] != 0))
            held, points = held + int(at_bound.sum()), points + states.size
            if "tp01" in ids:
                seen, where = ids.index("tp01"), place.observed[lead]
                rain += states[:, seen][:, where].mean(dtype=np.float64), place.truth[lead, seen][where].mean()
    yield _finding(f"share of values at a physical bound, {LONG_HOURS} h", held / points, "0", 0.0, 0.0)
    if "tp01" in ids:
        low, high = 1 - RAIN_BIAS, 1 + RAIN_BIAS
        yield _finding(f"mean rain over truth's, {LONG_HOURS} h", rain[0] / rain[1], f"{low:g} to {high:g}", low, high)


def _first(
    package: ModelPackage, data: TrainingData, cycles: int, report: Callable[[str], None]
) -> Iterator[Criterion]:
    """Compare one hour ahead with the regression dressed in white noise of the same scale: CRPS and spectrum.

    The white noise goes without the calibration, which was measured on the diffusion's samples.
    """
    plain = uncalibrated(package)
    dressed = replace(
        plain,
        description=plain.description.model_copy(update={"sampler": _EXACT}),
        networks=package.networks | {"diffusion": White()},
    )
    report("an hour ahead, by diffusion and by white noise")
    ours, theirs = (_first_scores(StormCast(candidate), data, cycles) for candidate in (package, dressed))
    for v, variable in enumerate(package.state_set.ids):
        crps = [scores[0][v] for scores in (ours, theirs)]
        spectrum = [float(np.abs(np.log(scores[1][v] / scores[2][v])).mean()) for scores in (ours, theirs)]
        for what, (diffusion, noise) in (
            ("CRPS of the diffusion", crps),
            ("error of the spectrum (mean |ln ratio|)", spectrum),
        ):
            criterion = f"{variable}: {what} over that of white noise, 1 h"
            yield _finding(criterion, diffusion / noise, "below 1", 0.0, np.nextafter(1, 0))


def _first_scores(model: StormCast, data: TrainingData, cycles: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return summed CRPS (variable) and the power of members and truth in the scored octaves (variable, octave)."""
    ids = model.package.state_set.ids
    crps, members, truth = np.zeros(len(ids)), np.zeros((len(ids), 4)), np.zeros((len(ids), 4))
    for place in _places(model, data, cycles, 1, FIRST_MEMBERS):
        _, states = next(place.states)
        for v, variable in enumerate(ids):
            where = place.observed[1] if variable == "tp01" else np.ones(place.observed[1].shape, bool)
            crps[v] += fair_crps(differences(states[:, v][:, where], place.truth[1, v][where])).mean()
        members += _power(model, states, place.observed[1]).mean(axis=0)
        truth += _power(model, place.truth[1], place.observed[1])
    return crps, members, truth


def _grain(model: StormCast, data: TrainingData, cycles: int) -> Iterator[Criterion]:
    """Follow the power of wind at fine scales hour by hour: its worst ratio to the truth's must stay within bounds."""
    ids = [v for v in ("u10m", "v10m") if v in model.package.state_set.ids]
    rows, columns = [model.package.state_set.ids.index(v) for v in ids], [OCTAVES.index(name) - 1 for name in FINE]
    power = np.zeros((2, GRAIN_HOURS, len(ids), len(FINE)))
    for place in _places(model, data, cycles, GRAIN_HOURS, GRAIN_MEMBERS):
        for lead, states in place.states:
            sides = states, place.truth[lead][None]
            for side, values in enumerate(_power(model, s, place.observed[lead]).mean(axis=0) for s in sides):
                power[side, lead - 1] += values[np.ix_(rows, columns)]
    ratio = power[0] / power[1]
    for v, variable in enumerate(ids):
        for octave, name in enumerate(FINE):
            of_leads = ratio[:, v, octave]
            worst = float(of_leads[np.argmax(np.abs(np.log(of_leads)))])
            what = f"{variable}: power at {name} km over truth's, worst of {GRAIN_HOURS} leads"
            yield _finding(what, worst, "1/3 to 3", *GRAIN)


def _power(model: StormCast, fields: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the variance in the four scored octaves of (..., v, y, x), with rain as log1p, and 0 where unobserved."""
    values = fields.astype(np.float64)
    for v, variable in enumerate(model.package.state_set):
        if variable.transform == "log1p":
            values[..., v, :, :] = np.where(observed, np.log1p(values[..., v, :, :]), 0.0)
    power: FloatArray = octave_power(values, model.package.grid.spacing_km)[..., 1:5]
    return power


def _finding(what: str, found: float, allowed: str, low: float, high: float) -> Criterion:
    return Criterion(what=what, found=float(found), allowed=allowed, kept=bool(low <= found <= high))


def table(findings: tuple[Criterion, ...]) -> list[str]:
    """Return the findings as lines of a Markdown table."""
    head = ["| criterion | found | allowed | |", "|---|---|---|---|"]
    verdict = {True: "kept", False: "**NOT KEPT**"}
    return [*head, *(f"| {f.what} | {f.found:.3g} | {f.allowed} | {verdict[f.kept]} |" for f in findings)]
