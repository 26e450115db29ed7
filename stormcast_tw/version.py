"""Which code made a result: a digest of the modules that the result depends on, and of nothing else.

A result depends on the modules that its step imports, directly or through others, except those that only carry it:
where files are, how they are stored, what errors are called, which inputs are refused. Comments, docstrings and blank
lines do not count. A step that imports the networks also depends on the releases of torch and physicsnemo.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

Step = Literal[
    "inputs", "prepared", "forecast", "products", "exports", "training data", "simulated training data", "training"
]

_ENTRY_MODULES: dict[Step, tuple[str, ...]] = {
    "inputs": ("stormcast_tw.inputs.fetch", "stormcast_tw.sources.table"),
    "prepared": ("stormcast_tw.inputs.prepare", "stormcast_tw.sources.table"),
    "forecast": ("stormcast_tw.forecast.rollout",),
    "products": ("stormcast_tw.products.rounding", "stormcast_tw.exports.netcdf", "stormcast_tw.publication.views"),
    "exports": ("stormcast_tw.publication.exporting",),
    "training data": (
        "stormcast_tw.training_data.finish",
        "stormcast_tw.training_data.provider_archive",
        "stormcast_tw.sources.table",
    ),
    "simulated training data": ("stormcast_tw.training_data.finish", "stormcast_tw.training_data.simulated_archive"),
    "training": ("stormcast_tw.training.run",),
}
"""The modules from which each kind of result is made."""

_CARRIERS = (
    "stormcast_tw.errors",
    "stormcast_tw.lazy",
    "stormcast_tw.regions.taiwan.input_limits",
    "stormcast_tw.settings",
    "stormcast_tw.storage",
    "stormcast_tw.version",
)
_NETWORKS = "stormcast_tw.model.network"
_LIBRARIES = ("torch", "nvidia-physicsnemo")
_PACKAGE = Path(__file__).parent


@lru_cache(maxsize=32)
def code_version(step: Step, package: Path = _PACKAGE) -> str:
    """Return 8 hex digits that change whenever the code behind a step does; `package` is the folder of the sources."""
    digest, modules = hashlib.sha256(), modules_of(step, package)
    for module in modules:
        digest.update(module.encode())
        digest.update(_parsed(_file(module, package).read_text()).code.encode())
    if _NETWORKS in modules:
        for library in _LIBRARIES:
            digest.update(f"{library} {metadata.version(library).partition('+')[0]}".encode())
    return digest.hexdigest()[:8]


def modules_of(step: Step, package: Path = _PACKAGE) -> tuple[str, ...]:
    """Return the modules that the results of a step depend on, sorted."""
    reached: set[str] = set()
    waiting = list(_ENTRY_MODULES[step])
    while waiting:
        module = waiting.pop()
        carries = any(module == carrier or module.startswith(f"{carrier}.") for carrier in _CARRIERS)
        if module not in reached and not carries:
            reached.add(module)
            waiting += _imports(module, package)
    return tuple(sorted(reached))


def _imports(module: str, package: Path) -> Iterator[str]:
    """Yield the modules of this package that a module imports, anywhere in its text, and their packages."""
    for name in _parsed(_file(module, package).read_text()).imports:
        if name.startswith(f"{package.name}.") and _file(name, package).exists():
            yield name


def _file(module: str, package: Path) -> Path:
    path = package.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class _Module(NamedTuple):
    imports: frozenset[str]
    """Every imported name that may be a module."""
    code: str
    """Its lines without comments, docstrings and blank lines."""


@lru_cache(maxsize=1024)
def _parsed(text: str) -> _Module:
    lines, imports = text.splitlines(), set[str]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline) if "#" in text else ():
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return _Module(frozenset(imports), "\n".join(stripped for line in lines if (stripped := line.rstrip())))
