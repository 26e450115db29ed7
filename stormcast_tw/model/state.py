"""Labelled tensors: the only bridge between arrays and torch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import torch

from stormcast_tw.cycle import as_utc
from stormcast_tw.errors import BadInput
from stormcast_tw.variables import VariableSet


@dataclass(frozen=True)
class State:
    """Fields at one valid time in physical units: `values` (member, variable, y, x), float32.

    Both the predicted state and the background are of this type; a background has one member. Raises BadInput for a
    wrong number of variables or for a value that is not finite.
    """

    values: torch.Tensor
    variables: VariableSet
    valid_time: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "valid_time", as_utc(self.valid_time))
        if self.values.ndim != 4 or self.values.shape[1] != len(self.variables):
            raise BadInput(
                f"{self.variables.name} at {self.valid_time}: shape {tuple(self.values.shape)} is not "
                f"(member, {len(self.variables)} variables, y, x)"
            )
        finite = torch.isfinite(self.values).all(dim=(0, 2, 3))
        if not bool(finite.all()):
            bad = [v for v, good in zip(self.variables.ids, finite.tolist(), strict=True) if not good]
            raise BadInput(f"{self.variables.name} at {self.valid_time}: {', '.join(bad)} is not finite everywhere")

    @classmethod
    def of(
        cls, values: npt.NDArray[np.float32], variables: VariableSet, valid_time: datetime, device: torch.device
    ) -> State:
        """Make a State of a float32 array (member, variable, y, x)."""
        tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)
        return cls(tensor, variables, valid_time)

    def numpy(self) -> npt.NDArray[np.float32]:
        """Return the values as an array (member, variable, y, x)."""
        array: npt.NDArray[np.float32] = self.values.cpu().numpy()
        return array
