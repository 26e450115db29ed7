"""Providers' files, on this machine or in S3: found by name, pinned to one version, read by byte ranges.

A file is found without reading it and identified by its version: the ETag, or size and modification time on a disk.
Every range is requested in that version, so that a file overwritten in place is never read half old, half new. What was
used of it is identified by a digest that does not depend on where the file was.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec

from stormcast_tw.errors import BadInput, NotReady, Refused, StormcastError, Unreachable
from stormcast_tw.lazy import lazy_import
from stormcast_tw.names import require_inside
from stormcast_tw.storage import s3

aiohttp = lazy_import("aiohttp")
botocore_errors = lazy_import("botocore.exceptions")

_CHANGED = ("PreconditionFailed", "412")
_GOOGLE = "https://storage.googleapis.com"
"""Google's store answers S3 requests here, unsigned ones of public buckets too (Cloud Storage, "XML API")."""
_RETRIES = 2
"""Attempts of s3fs at one S3 request that meets connection errors, before the task's own retries begin."""


@dataclass(frozen=True)
class SourceFile:
    """One provider file as it was found: its address, its version, its size in bytes."""

    address: str
    version: str
    size: int


@dataclass(frozen=True)
class Used:
    """What was read of a file: `digest` of the bytes used, how many they are, and how many were read to find them.

    The digest is `sha256:` of the file where it was read whole, else `ranges:`, the sha256 of every used range's
    offset, length and sha256 in the order of the file.
    """

    address: str
    digest: str
    bytes_used: int
    bytes_of_index: int

    @property
    def bytes_read(self) -> int:
        """All that was read."""
        return self.bytes_used + self.bytes_of_index


@dataclass(frozen=True)
class Folder:
    """The files of one provider below `root`: a local path, file://, s3:// or gs:// (public, read as S3).

    `options` are passed to fsspec.

    Every method raises NotReady for a file that is absent (or has changed since it was found), Refused if access is
    denied, Unreachable if the store gives no complete answer.
    """

    root: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def address(self, path: str) -> str:
        """Return the address of a path below the root."""
        return f"{self.root}/{path}"

    def find(self, path: str) -> SourceFile:
        """Return the file at `path` as it is now."""
        with translated_errors(self.address(path)):
            return self._store.find(path, self.address(path))

    def exists(self, path: str) -> bool:
        """True if there is a file at `path`."""
        try:
            self.find(path)
        except NotReady:
            return False
        return True

    def names(self, folder: str) -> list[str]:
        """Return the names of the files directly in `folder`, sorted; none if there is no such folder."""
        with translated_errors(self.address(folder)), contextlib.suppress(FileNotFoundError):
            return sorted(self._store.names(folder))
        return []

    @contextlib.contextmanager
    def open(self, file: SourceFile) -> Iterator[Reader]:
        """Open a file that `find` returned, in the version it had then."""
        with contextlib.ExitStack() as stack:
            with translated_errors(file.address):
                read = stack.enter_context(self._store.ranges(file.address.removeprefix(f"{self.root}/"), file))
            yield Reader(file, read)

    @cached_property
    def _store(self) -> _Disk | _S3:
        root, options = self.root, dict(self.options)
        if root.startswith("gs://"):
            root, options = f"s3://{root.removeprefix('gs://')}", options | {"endpoint_url": _GOOGLE, "anon": True}
        filesystem, path = fsspec.core.url_to_fs(root, **options)
        if "file" in filesystem.protocol:
            return _Disk(Path(path))
        filesystem.retries = _RETRIES
        return _S3(s3.Prefix(filesystem, path.rstrip("/")))

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "options": self.options}


class Reader:
    """Reads byte ranges of one version of a file, and keeps an account of them."""

    def __init__(self, file: SourceFile, read: Callable[[int, int], bytes]) -> None:
        self.address, self.size = file.address, file.size
        self._read = read
        self._used: dict[tuple[int, int], str] = {}
        self._index = 0

    @classmethod
    def of_bytes(cls, address: str, data: bytes) -> Reader:
        """Return a reader of a file that is in memory, or inside another; `address` names it in messages."""
        return cls(SourceFile(address, "", len(data)), lambda start, length: data[start : start + length])

    def read(self, start: int, length: int, *, index: bool = False) -> bytes:
        """Return exactly these bytes; with `index` they serve to find others and do not count as used.

        Raises BadInput for a range outside the file, NotReady if it changed, Unreachable if the store gave fewer.
        """
        if start < 0 or length < 0 or start + length > self.size:
            raise BadInput(f"{self.address}: bytes {start} to {start + length} are requested; the file has {self.size}")
        with translated_errors(self.address):
            data = self._read(start, length) if length else b""
        if len(data) != length:
            raise Unreachable(f"{self.address}: gave {len(data)} of the {length} bytes from {start}")
        if index:
            self._index += length
        else:
            self._used[start, length] = hashlib.sha256(data).hexdigest()
        return data

    def all(self) -> bytes:
        """Return the whole file."""
        return self.read(0, self.size)

    @property
    def used(self) -> Used:
        """The account of what was read so far."""
        ranges = sorted(self._used.items())
        if list(self._used) == [(0, self.size)]:
            digest = "sha256:" + ranges[0][1]
        else:
            text = "\n".join(f"{start} {length} {digest}" for (start, length), digest in ranges)
            digest = "ranges:" + hashlib.sha256(text.encode()).hexdigest()
        return Used(self.address, digest, sum(length for (_, length), _ in ranges), self._index)


class _Disk:
    """Files below a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, path: str, address: str) -> SourceFile:
        status = self._path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(path)
        return SourceFile(address, _version(status), status.st_size)

    def names(self, folder: str) -> list[str]:
        return [entry.name for entry in os.scandir(self._path(folder)) if entry.is_file()]

    def _path(self, path: str) -> Path:
        return self._root / require_inside(str(self._root), path)

    @contextlib.contextmanager
    def ranges(self, path: str, file: SourceFile) -> Iterator[Callable[[int, int], bytes]]:
        descriptor = os.open(self._path(path), os.O_RDONLY)

        def read(start: int, length: int) -> bytes:
            data = os.pread(descriptor, length, start)
            while len(data) < length and (more := os.pread(descriptor, length - len(data), start + len(data))):
                data += more
            _require_version(file, _version(os.fstat(descriptor)))
            return data

        try:
            yield read
        finally:
            os.close(descriptor)


class _S3:
    """Objects below a prefix of a bucket."""

    def __init__(self, prefix: s3.Prefix) -> None:
        self._prefix = prefix

    def find(self, path: str, address: str) -> SourceFile:
        info = self._prefix.info(path)
        if info["type"] != "file":
            raise FileNotFoundError(path)
        return SourceFile(address, str(info["ETag"]), int(info["size"]))

    def names(self, folder: str) -> list[str]:
        return self._prefix.names(folder)

    @contextlib.contextmanager
    def ranges(self, path: str, file: SourceFile) -> Iterator[Callable[[int, int], bytes]]:
        def read(start: int, length: int) -> bytes:
            try:
                data, version = self._prefix.get(
                    path, Range=f"bytes={start}-{start + length - 1}", IfMatch=file.version
                )
            except OSError as error:
                if s3.error_code(error) in _CHANGED:
                    _require_version(file, str(self._prefix.info(path)["ETag"]))
                raise
            _require_version(file, version)
            return data

        yield read


def _version(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _require_version(file: SourceFile, current: str) -> None:
    if current != file.version:
        raise NotReady(
            f"{file.address}: changed while it was read (now {current}, found as {file.version}); look again"
        )


@contextlib.contextmanager
def translated_errors(address: str) -> Iterator[None]:
    """Translate a store's failures into our errors: absent, access denied, or no answer."""
    try:
        yield
    except StormcastError:
        raise
    except FileNotFoundError:
        raise NotReady(f"{address}: not there yet") from None
    except PermissionError as error:
        raise Refused(f"{address}: access denied ({error}); check the credentials of this provider") from error
    except (botocore_errors.BotoCoreError, aiohttp.ClientError, OSError) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise Unreachable(f"{address}: no whole answer ({type(error).__name__}: {what})") from error
