"""Exchange of packages with other tools: physicsnemo `.mdlus` checkpoints with the package's description beside them.

A `.mdlus` file is a zip of weights (`model.pt`), constructor arguments (`args.json`) and versions. Imported
weights are loaded weights-only into networks built from *our* description, so nothing in the file can run.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from stormcast_tw.errors import BadPackage
from stormcast_tw.model.description import (
    DESCRIPTION,
    INVARIANTS_FILE,
    Description,
    Network,
    load_invariants,
    read_description,
)
from stormcast_tw.model.files import FLOAT32, Tensor, read_bounded
from stormcast_tw.model.package import ModelPackage, require_size, save, with_weights

_WEIGHTS, _ARGUMENTS = "model.pt", "args.json"
_CLASSES = {"regression": "SongUNet", "diffusion": "EDMPreconditioner"}
_MOST_MEMBERS = 4096
"""Of a zip; a checkpoint has one a tensor."""
_MOST_ARGUMENTS_BYTES = 2**20
_MORE_BYTES = 2**22
"""What a checkpoint may take besides its weights: arguments, versions, and a kilobyte for each tensor."""
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What zipfile, json and torch's weights-only unpickler raise on bytes that are no checkpoint."""


def export_mdlus(package: ModelPackage, source: Path, folder: Path) -> list[Path]:
    """Write `<role>.mdlus` for every network, and `package.json` and the invariants of `source`, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for role, network in package.networks.items():
        path = folder / f"{role}.mdlus"
        cast("Any", network).save(path)
        written.append(path)
    for name in (DESCRIPTION, INVARIANTS_FILE):
        (folder / name).write_bytes((source / name).read_bytes())
        written.append(folder / name)
    return written


def import_mdlus(folder: Path) -> ModelPackage:
    """Read a folder that `export_mdlus` wrote, or `.mdlus` files of the same networks trained elsewhere.

    Raises BadPackage for a file that is not an `.mdlus` checkpoint or whose weights do not fit the description's
    networks.
    """
    description = read_description(folder)
    invariants = load_invariants(folder, description)
    networks = {n.role: _network(folder / f"{n.role}.mdlus", description, n) for n in description.networks}
    return ModelPackage(description, description.grid, invariants, networks)


def import_package(source: Path, target: Path) -> str:
    """Make a package in `target` from what `import_mdlus` reads, and return its digest."""
    return save(import_mdlus(source), target).digest


def _network(path: Path, description: Description, network: Network) -> torch.nn.Module:
    most = 4 * description.parameters(network) + _MORE_BYTES
    data = read_bounded(path, most)
    try:
        name, weights = _checkpoint(path, data, most)
    except _BROKEN as error:
        raise BadPackage(
            f"{path}: is not a physicsnemo checkpoint that can be loaded weights-only: {type(error).__name__}: "
            f"{str(error)[:300]}"
        ) from error
    wanted = _CLASSES[network.role.rpartition("_")[2]]
    if name != wanted:
        raise BadPackage(f"{path}: holds a {name[:60]}, the {network.role} network is a {wanted}")
    require_size(path, description, network, {name: _tensor(path, name, value) for name, value in weights.items()})
    return with_weights(path, description, network, {name: value.detach() for name, value in weights.items()})


def _checkpoint(path: Path, data: bytes, most: int) -> tuple[str, dict[str, Any]]:
    """Return the name of the network's class and the weights, of at most `most` bytes, in those of a `.mdlus` file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        _require_bounded(path, archive, most, {_ARGUMENTS: _MOST_ARGUMENTS_BYTES})
        name, stored = json.loads(archive.read(_ARGUMENTS))["__name__"], archive.read(_WEIGHTS)
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        _require_bounded(f"{path}: {_WEIGHTS}", archive, most, {})
    weights = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
    if not isinstance(name, str) or not isinstance(weights, dict):
        raise TypeError(f"{_ARGUMENTS} names a {type(name).__name__}, {_WEIGHTS} holds a {type(weights).__name__}")
    return name, weights


def _require_bounded(where: Path | str, archive: zipfile.ZipFile, most: int, limits: Mapping[str, int]) -> None:
    """Raise BadPackage for a zip of too many members, or of members that unpack to too many bytes."""
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise BadPackage(f"{where}: a zip of {len(members):,} members; allowed are {_MOST_MEMBERS:,}")
    sizes = {member.filename: member.file_size for member in members} | {
        "all members": sum(m.file_size for m in members)
    }
    for name, allowed in {**limits, "all members": most}.items():
        if sizes.get(name, 0) > allowed:
            raise BadPackage(f"{where}: {name} unpack to {sizes[name]:,} bytes; allowed are {allowed:,}")


def _tensor(path: Path, name: object, value: object) -> Tensor:
    """Return what is known of a loaded weight; raises BadPackage where it is no plain tensor."""
    if not isinstance(name, str) or not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        raise BadPackage(f"{path}: {name!r:.60} is a {type(value).__name__}; allowed are dense tensors by name")
    return Tensor(FLOAT32 if value.dtype == torch.float32 else str(value.dtype), tuple(value.shape))
