"""NetCDF of any kind by byte ranges: the header, then only what is requested."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stormcast_tw.errors import BadInput
from stormcast_tw.sources.formats.arrays import LARGEST_SLAB, Array, NetCDF
from stormcast_tw.sources.formats.netcdf_classic import open_classic
from stormcast_tw.sources.formats.netcdf_hdf5 import open_hdf5
from stormcast_tw.storage.provider_files import Reader

__all__ = ["LARGEST_SLAB", "Array", "NetCDF", "open_netcdf"]

_HDF5 = b"\x89HDF\r\n\x1a\n"


@contextmanager
def open_netcdf(reader: Reader) -> Iterator[NetCDF]:
    """Open a NetCDF file of any kind; raises BadInput if it is another format, damaged, or packed otherwise."""
    magic = reader.read(0, min(8, reader.size), index=True)
    if magic == _HDF5:
        with open_hdf5(reader) as opened:
            yield opened
    elif magic[:3] == b"CDF" and magic[3:4] in (b"\x01", b"\x02", b"\x05"):
        yield open_classic(reader)
    else:
        raise BadInput(f"{reader.address}: begins with {magic!r}; allowed a NetCDF file")
