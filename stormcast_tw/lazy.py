"""Libraries that are imported at their first use, so that one that takes a second costs only who needs it."""

from __future__ import annotations

import importlib
from typing import Any


class lazy_import:  # noqa: N801
    """Stands for a module, and imports it when an attribute of it is asked for."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copying and pickling ask for these
            raise AttributeError(name)
        return getattr(importlib.import_module(self._module), name)
