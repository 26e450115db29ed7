"""physicsnemo's U-Net, imported without the parts that its forward pass never calls.

`physicsnemo.nn` imports, with every layer there is, Warp kernels, mesh geometry, vision transformers and, through
them, torch's compiler: 8 of the 11 seconds from a fresh interpreter to a loaded package (two cores). Those modules
are replaced by placeholders while ours are imported, and taken out again, so that they can still be imported whole.
The classes we build on are physicsnemo's own, unchanged.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_FUNCTIONAL = ("derivatives", "equivariant_ops", "geometry", "interpolation", "neighbors", "rendering")
LEFT_OUT = (
    "physicsnemo.models.dit",
    *(f"physicsnemo.nn.functional.{name}" for name in _FUNCTIONAL),
    "tensordict",
    "timm",
    "torch.distributed.tensor",
    "torchvision",
    "warp",
)
"""Modules, each with all below it, that a U-Net does not need."""


@lru_cache(maxsize=1)
def classes() -> types.SimpleNamespace:
    """Return EDMPreconditioner, ConcatConditionWrapper, SongUNet and GroupNorm of physicsnemo as attributes."""
    with warnings.catch_warnings(), _left_out():
        warnings.simplefilter("ignore", DeprecationWarning)
        from physicsnemo.diffusion.preconditioners import EDMPreconditioner
        from physicsnemo.diffusion.utils import ConcatConditionWrapper
        from physicsnemo.models.diffusion_unets import SongUNet
        from physicsnemo.nn import GroupNorm
    return types.SimpleNamespace(
        EDMPreconditioner=EDMPreconditioner,
        ConcatConditionWrapper=ConcatConditionWrapper,
        SongUNet=SongUNet,
        GroupNorm=GroupNorm,
    )


@contextmanager
def _left_out() -> Iterator[None]:
    """Replace modules not yet imported by placeholders, and remove the placeholders at the end of the block."""
    names = tuple(name for name in LEFT_OUT if name not in sys.modules)
    if "physicsnemo.nn" in sys.modules:
        names = ()
    finder = _Finder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.made:
            placeholder = sys.modules.pop(name, None)
            above, _, leaf = name.rpartition(".")
            if above in sys.modules and getattr(sys.modules[above], leaf, None) is placeholder is not None:
                delattr(sys.modules[above], leaf)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds placeholders for some names and everything below them."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self.made: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if any(fullname == name or fullname.startswith(f"{name}.") for name in self._names):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        self.made.append(spec.name)
        return _Placeholder(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """A placeholder has nothing to execute."""


class _Placeholder(types.ModuleType):
    """A module whose every attribute is a class that refuses to be made: good for annotations and isinstance."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        where = f"{self.__name__}.{name}"

        def refuse(*_: object, **__: object) -> None:
            raise ImportError(f"{where}: was left out; import {self.__name__} before stormcast_tw builds a network")

        left_out = type(name, (), {"__init__": refuse, "__module__": self.__name__})
        setattr(self, name, left_out)
        return left_out
