"""Exchange of packages with other tools: physicsnemo `.mdlus` checkpoints with the package's description beside them.

A `.mdlus` file is a zip of weights (`model.pt`), constructor arguments (`args.json`) and versions. Imported
weights are loaded weights-only into networks built from *our* description, so nothing in the file can run.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any, cast

import torch

from stormcast_tw.errors import BadPackage
from stormcast_tw.grid import Grid
from stormcast_tw.model.description import (
    DESCRIPTION,
    INVARIANTS_FILE,
    Description,
    Network,
    load_invariants,
    read_description,
)
from stormcast_tw.model.network import for_inference
from stormcast_tw.model.package import ModelPackage, misfit, new_network


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
    grid = description.grid
    networks = {n.role: _network(folder / f"{n.role}.mdlus", description, n, grid) for n in description.networks}
    return ModelPackage(description, grid, load_invariants(folder, description), networks)


def _network(path: Path, description: Description, network: Network, grid: Grid) -> torch.nn.Module:
    module = new_network(description, network, grid)
    try:
        with zipfile.ZipFile(path) as archive:
            name = json.loads(archive.read("args.json"))["__name__"]
            weights = torch.load(io.BytesIO(archive.read("model.pt")), map_location="cpu", weights_only=True)
        if name != type(module).__name__:
            raise BadPackage(f"{path}: holds a {name}, the {network.role} network is a {type(module).__name__}")
        module.load_state_dict(weights, strict=True)
    except FileNotFoundError:
        raise BadPackage(f"{path}: is missing") from None
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, pickle.UnpicklingError) as error:
        raise BadPackage(f"{path}: is not a physicsnemo checkpoint that can be loaded weights-only: {error}") from error
    except RuntimeError as error:
        raise misfit(path, network.role, error) from error
    return for_inference(module)
