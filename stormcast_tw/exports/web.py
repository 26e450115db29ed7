"""Maps and points for a page: small whole numbers in Zarr v3, laid out for a server that only serves whole files.

`maps` holds one array a field, all of its leads in one chunk: a request is the whole animation. `points` holds the
members in columns of 8 x 16 points: a request is every member at every hour of a place. Nothing is sharded, so no
server needs ranges; each chunk is a file, even if all of it is missing, so none is looked for in vain.

xarray and zarrita open the folders with one document of all arrays. A page needs less: `maps/fields.json` names the
fields, the hours, the axes and the kinds, and how the one chunk of a field, `<name>/c/0/0/0` (`c/0/0` where it has no
leads), is unpacked: zstd, then little-endian numbers of the kind's type.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from stormcast_tw.errors import BadInput
from stormcast_tw.exports.fields import KINDS, fields, kind_of
from stormcast_tw.grid import Grid

Array = npt.NDArray[Any]

_ZSTD = (ZstdCodec(level=5, checksum=True),)
"""On 16 members x 12 h level 9 takes twice the time for 2 % of the bytes, level 3 saves a third of it for 5 % more."""
COLUMN = (8, 16)
"""Points of a column of `points` along y and x. With 16 x 16 the rain of 16 members in a typhoon is up to 58 kB in half
as many files, with 8 x 16 30 kB, with 8 x 8 16 kB in twice as many."""
POINTS = ("tp01", "u10m", "v10m", "t2m")
"""The variables of `points`."""
_NAMED = ("title", "simulated", "trained", "experiment", "run")
"""Global attributes that say which run it is."""
_SHOWN = (*_NAMED, "institution", "members", "inputs_status", "inputs", "source", "date_created", "license",
          "creator_name", "acknowledgement")  # fmt: skip
"""Global attributes that a page shows."""


def maps(*, products: xr.Dataset) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the Zarr folder `maps`: every field of the products, (lead_time, latitude, longitude).

    Paths are below that folder; `fields.json` lists the fields. xarray decodes the folder; values are off by at most
    half of `scale_factor`. Equal input gives equal bytes. Raises BadInput for units that no kind has, or a number that
    does not fit.
    """
    group, listed = _Group(products, _SHOWN, ("lead_time", "valid_time", "init_time")), []
    for field in fields(products):
        packed = field.kind.packed(field.values.values, field.name)
        about = {"long_name": field.long_name, "kind": field.kind.name, "product": field.product, "at": field.at}
        group.add(field.name, field.values.dims, packed, about | field.kind.attributes)
        listed.append({"name": field.name, **about, "has_leads": field.has_leads})
    used = {str(entry["kind"]) for entry in listed}
    kinds = {name: kind.described for name, kind in KINDS.items() if name in used}
    yield "fields.json", _compact({**group.attributes, "kinds": kinds, "fields": listed})
    yield from group.files(kinds=kinds)


def points(*, members: xr.Dataset) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the Zarr folder `points`: rain, wind and temperature of the members in columns of points.

    Arrays are (member, lead_time, latitude, longitude) with a chunk for each column. The document of an array and one
    chunk are all that is needed for a place. The kinds are explained in `maps`. As `maps` otherwise; raises BadInput
    for members without one of these variables too.
    """
    if absent := [name for name in POINTS if name not in members]:
        raise BadInput(f"points: the forecast has no {', '.join(absent)}")
    group = _Group(members, _NAMED, ("lead_time",))
    for name in POINTS:
        values = members[name].transpose("member", "lead_time", ...)
        kind = kind_of(name, values)
        packed = np.ascontiguousarray(kind.packed(values.values, name))
        about = {"long_name": values.attrs["long_name"], "kind": kind.name}
        chunks = (*packed.shape[:2], *COLUMN)
        group.add(name, values.dims, packed, {**about, **kind.attributes}, chunks)
    yield from group.files()


class _Group:
    """A Zarr group in memory: the axes of a dataset, then arrays, then all documents in one."""

    def __init__(self, dataset: xr.Dataset, kept: tuple[str, ...], times: tuple[str, ...]) -> None:
        self._files: dict[str, Any] = {}
        self.attributes = _about(dataset, kept)
        self._group = zarr.create_group(zarr.storage.MemoryStore(self._files), attributes=self.attributes)
        for axis in (*times, "latitude", "longitude", "y", "x"):
            if axis in dataset.coords:
                self.add(axis, dataset[axis].dims, *_plain(dataset[axis]))

    def add(
        self,
        name: str,
        dims: tuple[Any, ...],
        packed: Array,
        attributes: Mapping[str, Any],
        chunks: tuple[int, ...] | None = None,
    ) -> None:
        """Add an array, in one chunk unless told otherwise."""
        array = self._group.create_array(
            name,
            shape=packed.shape,
            dtype=packed.dtype,
            chunks=chunks or packed.shape,
            compressors=_ZSTD,
            fill_value=attributes.get("_FillValue", 0),
            dimension_names=tuple(map(str, dims)),
            attributes={key: value for key, value in attributes.items() if value != {}},
            config={"write_empty_chunks": True},
        )
        array[...] = packed

    def files(self, **attributes: Any) -> Iterator[tuple[str, bytes]]:
        """Yield the group's files by path, sorted; the attributes are added to its own."""
        files = {path: buffer.to_bytes() for path, buffer in self._files.items()}
        documents = {path: _brief(json.loads(data)) for path, data in files.items() if path.endswith("zarr.json")}
        root = documents["zarr.json"]
        root["attributes"] |= attributes
        inside = {p.removesuffix("/zarr.json"): documents[p] for p in sorted(documents) if p != "zarr.json"}
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": inside}
        for path in sorted(files):
            document = documents.get(path)
            yield path, files[path] if document is None else _compact(document)


def _brief(document: dict[str, Any]) -> dict[str, Any]:
    """Return a Zarr document without the list of what nobody has defined yet."""
    return {key: value for key, value in document.items() if key != "storage_transformers"}


def _compact(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _about(dataset: xr.Dataset, kept: tuple[str, ...]) -> dict[str, Any]:
    """Return the attributes of a group: which run it is, its hours and its grid."""
    grid = Grid.of(dataset)
    ends = ([grid.y_first, grid.y_last, grid.ny], [grid.x_first, grid.x_last, grid.nx])
    return {
        "Conventions": "CF-1.11",
        **{name: dataset.attrs[name] for name in kept if name in dataset.attrs},
        "init_time": f"{np.datetime_as_string(dataset['init_time'].values, 's')}Z",
        "lead_hours": (dataset["lead_time"].values // np.timedelta64(1, "h")).tolist(),
        "crs": "EPSG:4326" if grid.is_geographic else str(dict(grid.projection)),
        "axes": dict(zip(grid.dims, ends, strict=True)),
    }


def _plain(axis: xr.DataArray) -> tuple[Array, dict[str, Any]]:
    """Return the numbers and the attributes of a coordinate: times in whole seconds since 1970, leads in hours."""
    values, attributes = axis.values, {k: v for k, v in axis.attrs.items() if k != "bounds"}
    if values.dtype.kind == "m":
        return (values // np.timedelta64(1, "h")).astype(np.int64), {
            **attributes,
            "units": "hours",
            "dtype": "timedelta64[ns]",
        }
    if values.dtype.kind == "M":
        seconds = values.astype("datetime64[s]").astype(np.int64)
        return seconds, {**attributes, "units": "seconds since 1970-01-01"}
    return values, attributes
