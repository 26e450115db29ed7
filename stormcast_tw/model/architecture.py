"""The size of a network, from its description alone: what may be asked for, its parameters, the memory it works in.

Nothing here needs torch, so that a network is known to fit before any of it is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple, Self

from pydantic import ConfigDict, Field, model_validator

from stormcast_tw.plan import Frozen

MOST_PARAMETERS = 500_000_000
"""Of one network: six times StormCast's 79 million, 2 GB of weights."""
MOST_GIB = 128.0
"""Memory that one call of a network may need: what a large accelerator has."""
_MOST_GROUPS, _LEAST_IN_GROUP = 32, 4
"""physicsnemo's group norm: up to 32 groups, of 4 channels and more."""


class Channels(Frozen):
    """Number of fields a network predicts (`state`) and is conditioned on (`condition`), before folding."""

    state: int
    condition: int


class Block(NamedTuple):
    """A block of a U-Net: channels in and out, its level (0 is the whole map), and whether it resamples or attends."""

    channels_in: int
    channels_out: int
    level: int
    resamples: bool = False
    attends: bool = False
    kept: bool = False
    """True in the encoder, whose maps are kept for the decoder."""

    def parameters(self, embedding: int) -> int:
        """Return the numbers in the weights file of this block, with an embedding of so many channels."""
        i, o = self.channels_in, self.channels_out
        convolutions = 9 * i * o + 9 * o * o + embedding * o + 3 * o
        norms = 2 * i + 2 * o
        skip = i * o + o if i != o or self.resamples else 0
        attention = 4 * o * o + 6 * o if self.attends else 0
        return convolutions + norms + skip + attention + (8 if self.resamples else 0)


class Architecture(Frozen):
    """Size of a SongUNet (Song et al. 2021's U-Net as in EDM): physicsnemo's own parameter names.

    Every number is bounded far above StormCast's (128 channels, 5 levels, 4 blocks a level); networks within these
    bounds can still be too large for a machine: see `parameters` and `gib`.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    model_channels: int = Field(ge=4, le=1024, multiple_of=_LEAST_IN_GROUP)
    channel_mult: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(min_length=1, max_length=8)
    num_blocks: int = Field(ge=1, le=16)
    attn_resolutions: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(default=(), max_length=8)
    bottleneck_attention: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _norms_divide(self) -> Self:
        for block in self.blocks(1):
            groups = min(_MOST_GROUPS, -(-block.channels_in // _LEAST_IN_GROUP))
            if block.channels_in % groups:
                raise ValueError(
                    f"model_channels {self.model_channels} with channel_mult {self.channel_mult}: a norm of "
                    f"{block.channels_in} channels; allowed are multiples of {groups} there"
                )
        return self

    def blocks(self, points_y: int) -> Iterator[Block]:
        """Yield the blocks in order, for a folded map of so many points in y, by which attention is chosen."""
        width, skips = self.model_channels, [self.model_channels]
        last = len(self.channel_mult) - 1
        for level, mult in enumerate(self.channel_mult):
            attends = points_y >> level in self.attn_resolutions
            if level:
                yield Block(width, width, level, resamples=True, kept=True)
                skips.append(width)
            for _ in range(self.num_blocks):
                yield Block(width, width := self.model_channels * mult, level, attends=attends, kept=True)
                skips.append(width)
        yield Block(width, width, last, attends=self.bottleneck_attention)
        yield Block(width, width, last)
        for level, mult in reversed(list(enumerate(self.channel_mult))):
            attends = points_y >> level in self.attn_resolutions
            if level < last:
                yield Block(width, width, level, resamples=True)
            for index in range(self.num_blocks + 1):
                final = attends and index == self.num_blocks
                yield Block(width + skips.pop(), width := self.model_channels * mult, level, attends=final)

    def parameters(self, channels: Channels, fold: int, points_y: int, diffusion: bool) -> int:
        """Return the numbers in the weights file: `fold` points folded each way, `points_y` of the folded map."""
        area, width = fold * fold, self.model_channels
        fields_in = (channels.condition + (channels.state if diffusion else 0)) * area
        fields_out, width_out = channels.state * area, width * self.channel_mult[0]
        embedding = 4 * width
        noise = width // 2 + width * embedding + embedding + embedding * embedding + embedding + 1
        ends = 9 * fields_in * width + width + 2 * width_out + 9 * width_out * fields_out + fields_out
        inner = sum(block.parameters(embedding) for block in self.blocks(points_y))
        return ends + inner + (noise if diffusion else 0)

    def gib(self, channels: Channels, fold: int, shape: tuple[int, int], members: int) -> float:
        """Return roughly the memory in GiB of one call: maps that are kept, the largest block, the largest attention.

        `shape` (y, x) of the grid before folding; `members` are stepped together.
        """
        points = shape[0] * shape[1] // fold**2
        blocks = list(self.blocks(shape[0] // fold))
        given = 3 * (channels.condition + channels.state) * shape[0] * shape[1]
        kept = sum(block.channels_out * (points >> 2 * block.level) for block in blocks if block.kept)
        largest = max(3 * (b.channels_in + b.channels_out) * (points >> 2 * b.level) for b in blocks)
        attention = max(((points >> 2 * b.level) ** 2 for b in blocks if b.attends), default=0)
        return 4 * members * (given + kept + largest + attention) / 2**30
