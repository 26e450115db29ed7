"""Objects of an S3 bucket, each read in one version and written under a condition, through s3fs's public calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fsspec.asyn import sync

from stormcast_tw.names import require_inside

_DELETED_AT_ONCE = 1000


@dataclass(frozen=True)
class Prefix:
    """The objects of a bucket whose keys begin with a prefix; `base` is bucket/prefix, `path` is relative to it.

    Raises what s3fs raises: FileNotFoundError, PermissionError, OSError; `error_code` gives S3's own code.
    """

    filesystem: Any
    base: str

    def info(self, path: str) -> dict[str, Any]:
        """Return the current `type`, `size` and `ETag` of an object."""
        info: dict[str, Any] = self.filesystem.info(self._full(path), refresh=True)
        return info

    def exists(self, path: str) -> bool:
        """True if there is an object, or any below this path."""
        return bool(self.filesystem.exists(self._full(path)))

    def get(self, path: str, **request: str) -> tuple[bytes, str]:
        """Return the bytes of an object and its ETag; `request` may hold Range or IfMatch."""
        answer = self.filesystem.call_s3("get_object", **self._key(path), **request)
        body = answer["Body"]
        try:
            return bytes(sync(self.filesystem.loop, body.read)), str(answer["ETag"])
        finally:
            body.close()

    def put(self, path: str, data: bytes, **condition: str) -> None:
        """Write an object; `condition` may be IfMatch or IfNoneMatch."""
        self.filesystem.call_s3("put_object", **self._key(path), Body=data, **condition)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; absent ones are no error. Raises OSError naming the first that the store keeps."""
        keys = [self._key(path) for path in paths]
        for first in range(0, len(keys), _DELETED_AT_ONCE):
            several = [{"Key": key["Key"]} for key in keys[first : first + _DELETED_AT_ONCE]]
            answer = self.filesystem.call_s3(
                "delete_objects", Bucket=keys[0]["Bucket"], Delete={"Objects": several, "Quiet": True}
            )
            if kept := answer.get("Errors"):
                raise OSError(f"s3://{keys[0]['Bucket']}/{kept[0].get('Key')}: not deleted: {kept[0].get('Code')}")

    def below(self, folder: str) -> list[str]:
        """Return the paths of all objects below a folder, sorted."""
        paths = self.filesystem.find(self._full(folder))
        return sorted(str(path).removeprefix(f"{self.base}/") for path in paths)

    def listed(self, folder: str) -> list[tuple[str, int, datetime]]:
        """Return path, bytes and time of writing of all objects below a folder, sorted by path."""
        found = self.filesystem.find(self._full(folder), detail=True)
        entries = ((str(path).removeprefix(f"{self.base}/"), info) for path, info in found.items())
        return sorted((path, int(info["size"]), info["LastModified"]) for path, info in entries)

    def names(self, folder: str) -> list[str]:
        """Return the names of the objects directly in a folder; raises FileNotFoundError where there are none."""
        entries = self.filesystem.ls(self._full(folder), detail=True, refresh=True)
        return [str(entry["name"]).rsplit("/", 1)[-1] for entry in entries if entry["type"] == "file"]

    def _full(self, path: str) -> str:
        return f"{self.base}/{require_inside(f's3://{self.base}', path)}"

    def _key(self, path: str) -> dict[str, str]:
        bucket, _, key = self._full(path).partition("/")
        return {"Bucket": bucket, "Key": key.lstrip("/")}


def error_code(error: OSError) -> str:
    """Return S3's code of an error that s3fs translated, "" where it has none."""
    response: dict[str, Any] = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
