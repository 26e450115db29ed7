"""The surface altitude of a provider's own grid, from one GRIB or NetCDF file that does not change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stormcast_tw import quality
from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.sources.formats import cf, grib, grib_index
from stormcast_tw.sources.formats.arrays import MARGIN_DEGREES
from stormcast_tw.sources.formats.netcdf import NetCDF, open_netcdf
from stormcast_tw.sources.translate.derive import GRAVITY, FloatArray
from stormcast_tw.storage.provider_files import Folder, Reader, SourceFile, Used
from stormcast_tw.variables import VARIABLES

_TO_METRES = {"m**2 s**-2": 1 / GRAVITY, "m2 s-2": 1 / GRAVITY, "m^2 s^-2": 1 / GRAVITY, "m": 1.0}
_GRIB_KEYS: dict[grib.Key, float] = {("z", None): 1 / GRAVITY, ("orog", None): 1.0}
_NETCDF_NAMES = ("z", "geopotential_at_surface", "orog")


@dataclass(frozen=True)
class Orography:
    """The file of it: surface geopotential (`z`) or altitude (`orog`), GRIB or NetCDF, once in the file."""

    folder: Folder
    path: str

    def find(self) -> SourceFile:
        """Find the file; raises NotReady where it is absent."""
        return self.folder.find(self.path)

    def read(self, file: SourceFile, around: Grid) -> tuple[FloatArray, Grid, Used]:
        """Return the altitude in m (latitude, longitude) around a grid, south to north, its own grid, and what was
        read.

        Raises BadInput if the file has none, or an implausible one.
        """
        with self.folder.open(file) as reader:
            if reader.read(0, min(4, reader.size), index=True) == b"GRIB":
                values, grid = _from_grib(reader, around)
            else:
                with open_netcdf(reader) as opened:
                    values, grid = _from_netcdf(opened, around)
            quality.check(values, VARIABLES["orog"], reader.address)
            return values, grid, reader.used


def _from_grib(reader: Reader, around: Grid) -> tuple[FloatArray, Grid]:
    messages = [entry for entry in grib_index.scan(reader) if entry.key in _GRIB_KEYS]
    if len(messages) != 1:
        raise BadInput(f"{reader.address}: has {len(messages)} messages of z or orog at the surface; allowed one")
    box = grib.Box.around(around, MARGIN_DEGREES)
    with grib.opened(grib_index.message(reader, messages[0]), reader.address) as handle:
        values, grid = grib.field(handle, box, "orog", reader.address)
    return values * _GRIB_KEYS[messages[0].key], grid


def _from_netcdf(file: NetCDF, around: Grid) -> tuple[FloatArray, Grid]:
    name = next((name for name in _NETCDF_NAMES if name in file.variables), None)
    if name is None:
        raise BadInput(
            f"{file.address}: has no variable {' or '.join(_NETCDF_NAMES)}; found {', '.join(file.variables)}"
        )
    variable, units = file.variables[name], str(file.variables[name].attributes.get("units"))
    if units not in _TO_METRES:
        raise BadInput(f"{file.address}: {name} is in {units!r}; allowed {', '.join(_TO_METRES)}")
    leading = variable.shape[:-2]
    if variable.dimensions[-2:] != ("latitude", "longitude") or set(leading) - {1}:
        raise BadInput(
            f"{file.address}: {name} is {variable.dimensions} {variable.shape}; allowed one map (latitude, longitude)"
        )
    axes = [cf.column(file.variable(axis), file.address) for axis in ("latitude", "longitude")]
    part = cf.window(axes[0], axes[1], around, file.address)
    values = cf.unpacked(variable.read(*(0 for _ in leading)), variable.attributes, name, file.address)
    if values.shape != (axes[0].size, axes[1].size):
        raise BadInput(f"{file.address}: {name} is {values.shape}; allowed {axes[0].size} x {axes[1].size}")
    return np.asarray(cf.cut(values, part)) * _TO_METRES[units], part.grid
