"""Files below a root, on this machine or in an object store, with the two operations that publication depends on.

`create` makes an object unless it exists; `swap` replaces it unless somebody changed it. On a local disk these are a
hard link and a lock; on S3 they are conditional requests (`If-None-Match: *`, `If-Match: etag`). Objects are always
replaced whole. `stormcast-tw doctor` detects a store that ignores the conditions.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import fsspec

from stormcast_tw.names import require_inside
from stormcast_tw.storage import s3

_TEMPORARY = re.compile(r"\.[0-9a-f]{32}$")
_CONDITION_FAILED = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412")


@dataclass(frozen=True)
class Object:
    """The bytes of an object and what identifies this version of them."""

    data: bytes
    version: str


@dataclass(frozen=True)
class Listed:
    """An object as a list shows it: its path below the root, its size in bytes, and when it was written."""

    path: str
    size: int
    modified: datetime


class Objects(Protocol):
    """Objects by their path below `root`."""

    @property
    def root(self) -> str:
        """An absolute path, or a URL with its protocol."""

    def read(self, path: str) -> Object | None:
        """Return the object, or None."""

    def exists(self, path: str) -> bool:
        """True if there is an object or a folder."""

    def create(self, path: str, data: bytes) -> bool:
        """Create the object unless it exists; True if this call created it."""

    def swap(self, path: str, seen: str | None, data: bytes) -> bool:
        """Replace the object if its version is still `seen` (None: if it does not exist); True if this call did."""

    def replace(self, path: str, data: bytes) -> None:
        """Create or replace the object."""

    def remove(self, path: str) -> None:
        """Remove an object or a folder; it is no error if it is absent, or removed by others meanwhile."""

    def files(self, folder: str) -> list[str]:
        """Return the paths of all objects below a folder, sorted; empty if there is no such folder."""

    def listed(self, folder: str) -> list[Listed]:
        """Return the same objects as `files`, with their sizes and times."""

    def leftovers(self, folder: str) -> list[str]:
        """Return the paths of the unfinished files that killed writers left below a folder; a store never has any."""

    def settle(self) -> None:
        """Return when everything written before is where a power failure does not reach it."""


@lru_cache(maxsize=32)
def objects(root: str) -> Objects:
    """Return the objects below a local path or an s3:// URL; raises ValueError for any other protocol."""
    filesystem, path = fsspec.core.url_to_fs(root)
    protocols = {filesystem.protocol} if isinstance(filesystem.protocol, str) else set(filesystem.protocol)
    if "file" in protocols:
        return LocalObjects(path.rstrip("/"))
    if "s3" in protocols:
        return S3Objects(s3.Prefix(filesystem, path.rstrip("/")))
    raise ValueError(f"{root}: only local paths and s3:// are supported")


class LocalObjects:
    """Objects on this machine's disk."""

    def __init__(self, root: str) -> None:
        self.root = root

    def read(self, path: str) -> Object | None:  # noqa: D102
        try:
            data = self._path(path).read_bytes()
        except FileNotFoundError:
            return None
        return Object(data, hashlib.sha256(data).hexdigest())

    def exists(self, path: str) -> bool:  # noqa: D102
        return self._path(path).exists()

    def create(self, path: str, data: bytes) -> bool:  # noqa: D102
        temporary = self._beside(path, data)
        try:
            os.link(temporary, self._path(path))
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        return True

    def swap(self, path: str, seen: str | None, data: bytes) -> bool:  # noqa: D102
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_name(f".{target.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            now = self.read(path)
            if (now.version if now else None) != seen:
                return False
            self.replace(path, data)
        return True

    def replace(self, path: str, data: bytes) -> None:  # noqa: D102
        self._beside(path, data).replace(self._path(path))

    def remove(self, path: str) -> None:  # noqa: D102
        target = self._path(path)
        for name in (*sorted(target.rglob("*"), reverse=True), target):
            with contextlib.suppress(FileNotFoundError):
                name.rmdir() if name.is_dir() else name.unlink()

    def files(self, folder: str) -> list[str]:  # noqa: D102
        root = Path(self.root)
        found = (p for p in self._path(folder).rglob("*") if p.is_file() and not p.name.startswith("."))
        return sorted(p.relative_to(root).as_posix() for p in found)

    def listed(self, folder: str) -> list[Listed]:  # noqa: D102
        found = []
        for path in self.files(folder):
            with contextlib.suppress(FileNotFoundError):  # removed by others meanwhile
                status = self._path(path).stat()
                found.append(Listed(path, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)))
        return found

    def leftovers(self, folder: str) -> list[str]:  # noqa: D102
        root = Path(self.root)
        return [p.relative_to(root).as_posix() for p in self._path(folder).rglob(".*") if _TEMPORARY.search(p.name)]

    def settle(self) -> None:  # noqa: D102
        # one sync of the file system: to sync each of a forecast's 1,500 files would take far longer
        folder = os.open(self.root, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(folder):
                raise OSError(ctypes.get_errno(), "syncfs failed", self.root)
        finally:
            os.close(folder)

    def _path(self, path: str) -> Path:
        return Path(self.root, require_inside(self.root, path))

    def _beside(self, path: str, data: bytes) -> Path:
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid4().hex}")
        try:
            temporary.write_bytes(data)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return temporary


class S3Objects:
    """Objects in a bucket of S3 or a store that speaks its protocol."""

    def __init__(self, prefix: s3.Prefix) -> None:
        self._prefix = prefix
        self.root = f"s3://{prefix.base}"

    def read(self, path: str) -> Object | None:  # noqa: D102
        try:
            return Object(*self._prefix.get(path))
        except FileNotFoundError:
            return None

    def exists(self, path: str) -> bool:  # noqa: D102
        return self._prefix.exists(path)

    def create(self, path: str, data: bytes) -> bool:  # noqa: D102
        return self._put_if(path, data, IfNoneMatch="*")

    def swap(self, path: str, seen: str | None, data: bytes) -> bool:  # noqa: D102
        return self.create(path, data) if seen is None else self._put_if(path, data, IfMatch=seen)

    def replace(self, path: str, data: bytes) -> None:  # noqa: D102
        self._prefix.put(path, data)

    def remove(self, path: str) -> None:  # noqa: D102
        self._prefix.delete(self.files(path) or [path])

    def files(self, folder: str) -> list[str]:  # noqa: D102
        return self._prefix.below(folder)

    def listed(self, folder: str) -> list[Listed]:  # noqa: D102
        return [Listed(*entry) for entry in self._prefix.listed(folder)]

    def leftovers(self, folder: str) -> list[str]:
        """Return nothing: an object is written whole or not at all."""
        return []

    def settle(self) -> None:
        """Do nothing: an object store answers once the object is safe."""

    def _put_if(self, path: str, data: bytes, **condition: str) -> bool:
        try:
            self._prefix.put(path, data, **condition)
        except OSError as error:
            if s3.error_code(error) in _CONDITION_FAILED:
                return False
            raise
        return True
