"""An archive of what a provider overwrites in place: copies under dated names, each made once and never replaced.

A copy is identified by the version that the store gave it (the ETag) and by the time inside the document. Next to each
is its `….origin.json`, written last, with address, version, size, sha256 and valid time.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

from stormcast_tw.errors import BadInput
from stormcast_tw.sources.opendata import LARGEST_BYTES, archived_path, decode, product_of, time_of
from stormcast_tw.storage.objects import Objects
from stormcast_tw.storage.provider_files import Folder

STEP_MINUTES = 10
"""Both products come every ten minutes."""


Status = Literal["kept", "known", "revised"]


@dataclass(frozen=True)
class Archived:
    """The result of looking at a key once: where its document is archived, its valid time (UTC) and its version.

    `status` is `kept` for a new document, `known` for one that was archived before, `revised` for different bytes of a
    time that was archived before: they are stored next to the first copy, which remains the one that sources read.
    """

    path: str
    valid_time: datetime
    version: str
    status: Status


def archive_document(folder: Folder, key: str, archive: Objects) -> Archived:
    """Copy what `key` of `folder` holds now into the archive, under its date, unless it is archived already.

    A document that is known costs one request and its first bytes. Safe to repeat, to interrupt, and to run twice at
    once. Raises NotReady for a key that is absent or overwritten meanwhile, and BadInput, archiving nothing, for a
    document that cannot be decoded completely.
    """
    product = product_of(key)
    file = folder.find(key)
    with folder.open(file) as reader:
        valid_time = time_of(reader, product)
        if valid_time.minute % STEP_MINUTES or valid_time.second or valid_time.microsecond:
            raise BadInput(
                f"{file.address}: time is {valid_time.isoformat()}; allowed multiples of {STEP_MINUTES} minutes"
            )
        first = archived_path(key, valid_time)
        for path in (first, _revision(first, file.version)):
            if _version_of(archive, path) == file.version:
                return Archived(path, valid_time, file.version, "known")
        if file.size > LARGEST_BYTES:
            raise BadInput(f"{file.address}: has {file.size} bytes; allowed {LARGEST_BYTES}")
        data = reader.all()
    decode(data, file.address, valid_time, product)
    path, status = _place(archive, first, file.version, data)
    origin = {
        "address": file.address,
        "version": file.version,
        "size": file.size,
        "sha256": hashlib.sha256(data).hexdigest(),
        "valid_time": valid_time.isoformat(),
    }
    archive.create(_origin(path), json.dumps(origin, indent=1).encode())
    return Archived(path, valid_time, file.version, status)


def _place(archive: Objects, first: str, version: str, data: bytes) -> tuple[str, Status]:
    """Create the copy; if a different one was there first, create it as a revision next to that."""
    if archive.create(first, data):
        return first, "kept"
    earlier = archive.read(first)
    if earlier is not None and earlier.data == data:
        return first, "known"
    path = _revision(first, version)
    return path, "revised" if archive.create(path, data) else "known"


def _revision(path: str, version: str) -> str:
    name = PurePosixPath(path)
    return str(name.with_name(f"{name.stem}.{hashlib.sha256(version.encode()).hexdigest()[:12]}{name.suffix}"))


def _origin(path: str) -> str:
    return f"{path}.origin.json"


def _version_of(archive: Objects, path: str) -> str | None:
    """Return the version that a copy was made from, None if there is no copy."""
    origin = archive.read(_origin(path))
    return None if origin is None else str(json.loads(origin.data)["version"])
