"""StormCast's step: one hour by regression, and a residual by diffusion (Pathak et al. 2026, 10.1126/sciadv.adv0423).

Shapes: m member, v variable, y, x. *Scaled* values are (T(x) - mean) / std with T the variable's transform; a
regression output is a tendency in units of its standard deviation; a residual is in units of its own, so that
sigma_data = 1 in network, loss and sampler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import torch

from stormcast_tw.errors import BadInput, BadPackage
from stormcast_tw.model.description import Role, Scale, StateScale
from stormcast_tw.model.network import fold, unfold
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.sampler import sample
from stormcast_tw.model.state import State
from stormcast_tw.model.waves import OCTAVES, WAVES_A_SIDE, cosines, octaves
from stormcast_tw.solar import cos_zenith, hour_angle, year_phase
from stormcast_tw.variables import VariableSet

HOURLY_SHARE = 0.1
"""Typical hourly change of a background variable, as a share of its standard deviation."""


class StormCast:
    """A package on a device, ready to step."""

    def __init__(self, package: ModelPackage, device: torch.device | str = "cpu") -> None:
        self.package, self.device = package, torch.device(device)
        description = package.description
        self._networks = {role: network.to(self.device) for role, network in package.networks.items()}
        self._state = _Scaling(package.state_set, description.state, self.device)
        self._background = _Scaling(package.background_set, description.background, self.device)
        scales = list(description.state.values())
        self._tendency_std = _column([scale.tendency_std for scale in scales], self.device)
        self._residual_std = _column([scale.residual_std for scale in scales], self.device)
        self._tendencies = self._state.std / self._tendency_std
        self._driven = [list(description.state).index(v) for v in description.driven]
        self._drivers = [list(description.background).index(v) for v in description.driven]
        self._calibrate(scales)
        alone = [scale.background_only_residual_std or 1.0 for scale in scales]
        self._alone_std = _column(alone, self.device)
        bounds = [variable.valid_range for variable in package.state_set]
        self._lower = _column([low for low, _ in bounds], self.device)
        self._upper = _column([high for _, high in bounds], self.device)
        self._trace = _column([variable.trace for variable in package.state_set], self.device)
        fixed = [(package.invariants[name] - s.mean) / s.std for name, s in description.invariants.items()]
        self._invariants_vyx = torch.from_numpy(np.stack(fixed).astype(np.float32)).to(self.device)

    def _calibrate(self, scales: Sequence[StateScale]) -> None:
        """Store the measured corrections of sampled residuals, as wave amplitudes (v, wave in y, wave in x)."""
        self._gain: torch.Tensor | None = None
        if not any(scale.gain or scale.widest_waves for scale in scales):
            return
        shape, few = self.package.grid.shape, WAVES_A_SIDE
        gain, std = np.ones((len(scales), *shape)), np.zeros((len(scales), few, few))
        for v, scale in enumerate(scales):
            if scale.gain:
                gain[v] = np.interp(octaves(shape), np.arange(OCTAVES), scale.gain)
            if scale.widest_waves:
                gain[v, :few, :few] = 1
                std[v] = np.reshape(scale.widest_waves.std, (few, few))
        self._cosines = tuple(torch.from_numpy(cosines(size).astype(np.float32)).to(self.device) for size in shape)
        self._wave_std, self._gain = (torch.from_numpy(a.astype(np.float32)).to(self.device) for a in (std, gain))

    @torch.inference_mode()
    def step(self, state: State, before: State, after: State, noise: npt.NDArray[np.float32]) -> State:
        """Return the state one hour later in physical units, clipped to the valid ranges, with traces of rain set to 0.

        `before` and `after` are the background at the state's valid time and one hour later (one member each);
        `noise` is standard normal (member, variable, y, x). Raises BadInput for a background at any other time or for
        shapes that do not fit, BadPackage if the networks' output is not finite.
        """
        return self._bounded(self.unbounded_step(state, before, after, noise), after.valid_time)

    @torch.inference_mode()
    def begin(self, background: State, noise: npt.NDArray[np.float32]) -> State:
        """Return a state at the background's valid time, made from the background alone where no state was observed.

        CorrDiff's two stages (Mardani et al. 2025, 10.1038/s43247-025-02042-5); `noise` is standard normal (member,
        variable, y, x), so that every member begins from a state of its own. Raises BadPackage for a package without
        these networks.
        """
        if not self.package.description.begins_alone:
            raise BadPackage(f"{self.package.description.name}: has no networks that begin from the background alone")
        shared = [
            self._background.scale(self._background.transform(background.values))[0],
            self._invariants_vyx,
            self._time_channels(background.valid_time),
        ]
        condition = torch.cat(shared).expand(noise.shape[0], -1, -1, -1)
        z_mean = self._regression(condition, "background_only_regression")
        with_mean = torch.cat([condition, z_mean], dim=1)
        residual = self._residual(with_mean, torch.from_numpy(noise).to(self.device), "background_only_diffusion")
        z = self._state.unscale(z_mean) + self._alone_std * residual
        return self._bounded(self._state.untransform(z), background.valid_time)

    def _bounded(self, x: torch.Tensor, valid_time: datetime) -> State:
        if not bool(torch.isfinite(x).all()):
            raise BadPackage(f"{self.package.description.name}: the state at {valid_time} is not finite")
        values = torch.minimum(torch.maximum(x, self._lower), self._upper)
        values = torch.where((self._trace > 0) & (values < self._trace), torch.zeros_like(values), values)
        return State(values, self.package.state_set, valid_time)

    @torch.inference_mode()
    def unbounded_step(self, state: State, before: State, after: State, noise: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return the model's output before the physical bounds are applied: (m, v, y, x) in physical units."""
        self._check(state, before, after, noise)
        z_mvyx = self._state.transform(state.values)
        condition = self.condition(state.values, before.values, after.values, after.valid_time)
        z_mean = z_mvyx + self._tendency_std * self._regression(condition)
        condition = torch.cat([condition, self._state.scale(z_mean)], dim=1)
        drawn = torch.from_numpy(noise).to(self.device)
        residual = self._calibrated(self._residual(condition, drawn), drawn)
        change = z_mean - z_mvyx + self._residual_std * residual
        return self._state.untransform(z_mvyx + self._filtered(change))

    def _calibrated(self, residual: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return a residual (m, v, y, x) with waves scaled as measured and a share of the noise's widest ones added."""
        if self._gain is None:
            return residual
        y, x = self._cosines
        waves = self._gain * (y @ residual @ x.T)
        few = WAVES_A_SIDE
        waves[..., :few, :few] += self._wave_std * (y[:few] @ noise @ x[:few].T)
        return y.T @ waves @ x

    def _filtered(self, change: torch.Tensor) -> torch.Tensor:
        """Return a change (m, v, y, x) without two-point waves, which neither network can tell from noise."""
        order, smooth = self.package.description.shapiro_order, self.package.state_set.linear
        if order:
            change = change.clone()
            change[:, smooth] = shapiro(change[:, smooth], order)
        return change

    def condition(
        self, state: torch.Tensor, before: torch.Tensor, after: torch.Tensor, valid_time: datetime
    ) -> torch.Tensor:
        """Return what both networks are conditioned on (m, channel, y, x).

        The state at t and its details, the background at t and t+1 (or its change), the invariants, and the position of
        the sun at t+1 (`valid_time`).
        """
        scaled = self._state.scale(self._state.transform(state))
        before, after = (self._background.transform(background) for background in (before, after))
        old, new = (self._background.scale(background)[0] for background in (before, after))
        if self.package.description.background_details:
            new = (new - old) / HOURLY_SHARE
        shared = torch.cat([old, new, self._invariants_vyx, self._time_channels(valid_time)])
        return torch.cat([scaled, *self._details(scaled, before), shared.expand(state.shape[0], -1, -1, -1)], dim=1)

    def _details(self, scaled: torch.Tensor, background: torch.Tensor) -> list[torch.Tensor]:
        """Return the difference between each neighbourhood mean and the next finer one, each (m, v, y, x).

        With `background_details`, also that between the widest mean and the transformed background, (m, driven, y, x).
        """
        details, finer = [], scaled
        for width in self.package.description.detail_widths:
            coarser = _neighbourhood_mean(scaled, width)
            details.append(self._tendencies * (finer - coarser))
            finer = coarser
        if self.package.description.background_details:
            distance = self._state.unscale(finer)[:, self._driven] - background[:, self._drivers]
            details.append(distance / self._tendency_std[self._driven])
        return details

    def _regression(self, condition: torch.Tensor, role: Role = "regression") -> torch.Tensor:
        factor = self.package.description.fold
        no_noise = torch.zeros(condition.shape[0], device=self.device)
        tendency: torch.Tensor = self._networks[role](fold(condition, factor), no_noise, None)
        return unfold(tendency, factor)

    def _residual(self, condition: torch.Tensor, noise: torch.Tensor, role: Role = "diffusion") -> torch.Tensor:
        factor = self.package.description.fold
        folded, network = fold(condition, factor), self._networks[role]

        def D(x: torch.Tensor, sigma: float) -> torch.Tensor:  # noqa: N802
            denoised: torch.Tensor = network(x, torch.full((x.shape[0],), sigma, device=self.device), folded)
            return denoised

        return unfold(sample(D, fold(noise, factor), self.package.description.sampler), factor)

    def _time_channels(self, valid_time: datetime) -> torch.Tensor:
        latitude, longitude = self.package.grid.latlon()
        year, day = year_phase(valid_time) * np.ones(self.package.grid.shape), hour_angle(valid_time, longitude)
        angles = [np.sin(day), np.cos(day), np.sin(year), np.cos(year)]
        channels = [cos_zenith(valid_time, latitude, longitude), *angles]
        return torch.from_numpy(np.stack(channels).astype(np.float32)).to(self.device)

    def _check(self, state: State, before: State, after: State, noise: npt.NDArray[np.float32]) -> None:
        for background, wanted in ((before, state.valid_time), (after, state.valid_time + timedelta(hours=1))):
            if background.valid_time != wanted:
                raise BadInput(f"background is valid at {background.valid_time}, the step needs {wanted}")
        for variables, expected_set in (
            (state.variables, self.package.state_set),
            (before.variables, self.package.background_set),
            (after.variables, self.package.background_set),
        ):
            if variables.ids != expected_set.ids:
                raise BadInput(f"variables {variables.ids} are not the package's {expected_set.ids}")
        shape = self.package.grid.shape
        for what, array_shape in (
            ("state", state.values.shape),
            ("noise", noise.shape),
            ("background", after.values.shape),
        ):
            if tuple(array_shape[-2:]) != shape:
                raise BadInput(f"{what} has the horizontal shape {tuple(array_shape[-2:])}, the package {shape}")
        if noise.shape != tuple(state.values.shape):
            raise BadInput(f"noise has shape {noise.shape}, the state {tuple(state.values.shape)}")


class _Scaling:
    """Transforms and z-scores of a variable set, on (m, v, y, x)."""

    def __init__(self, variables: VariableSet, scales: Mapping[str, Scale], device: torch.device):
        self._log1p = [i for i, variable in enumerate(variables) if variable.transform == "log1p"]
        self._mean = _column([scale.mean for scale in scales.values()], device)
        self.std = _column([scale.std for scale in scales.values()], device)

    def transform(self, values: torch.Tensor) -> torch.Tensor:
        values = values.clone()
        values[:, self._log1p] = torch.log1p(values[:, self._log1p])
        return values

    def untransform(self, transformed: torch.Tensor) -> torch.Tensor:
        values = transformed.clone()
        values[:, self._log1p] = torch.expm1(values[:, self._log1p])
        return values

    def scale(self, transformed: torch.Tensor) -> torch.Tensor:
        return (transformed - self._mean) / self.std

    def unscale(self, scaled: torch.Tensor) -> torch.Tensor:
        return self._mean + self.std * scaled


def shapiro(fields: torch.Tensor, order: int) -> torch.Tensor:
    """Return filtered fields (..., y, x): a wave of L points along an axis keeps 1 - sin(pi / L)^(2 order).

    Shapiro (1970, 10.1029/RG008i002p00359); the values at an edge are repeated beyond it.
    """
    for axis in (-2, -1):
        rough, last = fields, fields.shape[axis] - 1
        for _ in range(order):
            before = torch.cat([rough.narrow(axis, 0, 1), rough.narrow(axis, 0, last)], axis)
            after = torch.cat([rough.narrow(axis, 1, last), rough.narrow(axis, last, 1)], axis)
            rough = (2 * rough - before - after) / 4
        fields = fields - rough
    return fields


def _neighbourhood_mean(fields: torch.Tensor, width: int) -> torch.Tensor:
    """Return the mean of (m, v, y, x) over the points at most width / 2 away in y and x; fewer points at the edges."""
    for kernel, margin in (((width, 1), (width // 2, 0)), ((1, width), (0, width // 2))):
        fields = torch.nn.functional.avg_pool2d(fields, kernel, 1, margin, count_include_pad=False)
    return fields


def _column(values: list[float], device: torch.device) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]
