"""Which hours an update sees, and its random draws: functions of seed and update, never of earlier draws.

An interrupted run therefore needs no generator state to continue, and several processes draw what one would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from stormcast_tw.cycle import to_datetime
from stormcast_tw.errors import Refused
from stormcast_tw.training.recipes import NoiseLaw, Recipe, Stage, StageName
from stormcast_tw.training_data.reader import TrainingData

Array = npt.NDArray[np.float32]
Key = tuple[int, int]
"""(place, ahead): an index along time, and how many hours the model steps by itself before the pair."""


class Sample(NamedTuple):
    """Consecutive hours in physical units: states and backgrounds (hour, variable, y, x).

    The last two are the pair to be learnt; the hours before them are stepped by the model itself. `observed` (y, x) is
    where the rain of the last hour was observed, `valid_time` the time of the first hour.
    """

    states: Array
    backgrounds: Array
    observed: npt.NDArray[np.bool_]
    valid_time: datetime


@dataclass(frozen=True)
class Samples:
    """Samples by key; handed to the processes that read ahead."""

    data: TrainingData

    def __getitem__(self, key: Key) -> Sample:
        """Return the sample that starts at `place`, with `ahead` hours before the pair."""
        place, ahead = key
        observed = self.data.observed(place + ahead + 1)[0]
        return Sample(
            self.data.state(place, ahead + 2), self.data.background(place, ahead + 2), observed, self.at(place)
        )

    def at(self, place: int) -> datetime:
        """Return the valid time of a place."""
        return to_datetime(self.data.times[place])


@dataclass(frozen=True)
class Draws:
    """All random draws of a stage of a recipe, by update and by position in the update's batch."""

    seed: int
    stage: StageName
    settings: Stage
    crops: int = 1
    """Number of consecutive positions that are crops of one map."""

    @classmethod
    def of(cls, recipe: Recipe, stage: StageName) -> Draws:
        """Return the draws of a stage."""
        return cls(recipe.seed, stage, recipe.stages[stage], recipe.crops)

    def ahead(self, update: int) -> int:
        """Return how many hours the model steps by itself before the pairs of an update."""
        return int(self.generator("ahead", update).integers(self.settings.rollout_hours + 1))

    def places(self, update: int, starts: npt.NDArray[np.int32]) -> tuple[int, ...]:
        """Return the places of an update's maps: all of `starts` once in a random order, then again in another."""
        maps = self.settings.batch // self.crops
        first = update * maps
        return tuple(
            int(starts[_order(self.seed, self.stage, n // starts.size, starts.size)[n % starts.size]])
            for n in range(first, first + maps)
        )

    def corner(self, update: int, position: int, shape: tuple[int, int], crop: tuple[int, int]) -> Key:
        """Return the corner (y, x) of a sample's crop, at any point.

        If corners were on whole folds only, a network would learn the fold, and its winds would from hour to hour
        develop grain of one fold's size.
        """
        rng = self.generator("crop", update, position)
        y, x = (int(rng.integers(full - part + 1)) for full, part in zip(shape, crop, strict=True))
        return y, x

    def sigma(self, update: int, position: int, law: NoiseLaw) -> float:
        """Return a noise level: ln sigma is normal over all samples, stratified over the positions of a batch."""
        share = (position + self.generator("sigma", update, position).random()) / self.settings.batch
        return law.quantile(min(max(share, 1e-12), 1 - 1e-12))

    def noise(self, update: int, position: int, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
        """Return standard normal values for a sample."""
        generator = torch.Generator(device).manual_seed(_number(self.seed, self.stage, "noise", update, position))
        return torch.randn(shape, generator=generator, device=device)

    def dropout_seed(self, update: int, rank: int) -> int:
        """Return the seed of torch's own generator for an update: dropout draws from it."""
        return _number(self.seed, self.stage, "dropout", update, rank)

    def generator(self, *purpose: object) -> np.random.Generator:
        """Return a generator determined by the seed, the stage and its purpose."""
        return np.random.Generator(np.random.Philox(key=_number(self.seed, self.stage, *purpose)))


@dataclass(frozen=True)
class Keys:
    """The keys of this process, one list per micro-batch, from update `first` to the last."""

    draws: Draws
    starts: npt.NDArray[np.int32]
    first: int
    positions: tuple[tuple[int, ...], ...]
    """Positions in the batch, by micro-batch of this process."""

    def __iter__(self) -> Iterator[list[Key]]:
        for update in range(self.first, self.draws.settings.updates):
            places, ahead = self.draws.places(update, self.starts), self.draws.ahead(update)
            for micro in self.positions:
                yield [(places[position // self.draws.crops], ahead) for position in micro[:: self.draws.crops]]


def positions(batch: int, rank: int, world: int, at_once: int, crops: int = 1) -> tuple[tuple[int, ...], ...]:
    """Return the positions of a process's share of a batch, in micro-batches of at most `at_once` (0: all at once).

    Raises Refused for a batch that does not split into whole micro-batches of whole maps on every process.
    """
    share, rest = divmod(batch, world)
    size = min(at_once or share, share)
    if rest or not share or share % size or size % crops:
        raise Refused(f"batch of {batch}: {world} processes with {size} samples at once do not share its maps evenly")
    mine = range(rank * share, (rank + 1) * share)
    return tuple(tuple(mine[n : n + size]) for n in range(0, share, size))


def evenly(places: npt.NDArray[np.int32], count: int) -> Sequence[int]:
    """Return at most `count` of the places, evenly spread and always the same."""
    if places.size <= count:
        return [int(place) for place in places]
    return [int(places[n]) for n in np.linspace(0, places.size - 1, count).round().astype(int)]


def _number(*purpose: object) -> int:
    """Return 63 bits determined by their purpose and by nothing else."""
    return int.from_bytes(hashlib.blake2b(repr(purpose).encode(), digest_size=8).digest(), "little") >> 1


@lru_cache(maxsize=2)
def _order(seed: int, stage: StageName, epoch: int, size: int) -> npt.NDArray[np.int64]:
    rng = np.random.Generator(np.random.Philox(key=_number(seed, stage, "order", epoch)))
    return rng.permutation(size)
