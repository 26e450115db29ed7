"""Where things are (`STORMCAST_TW_*` in the environment), and which code is running. Read once."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import fsspec
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from stormcast_tw import __version__

_CHECKSUMS = (("request", "calculation"), ("response", "validation"))


class Settings(BaseSettings):
    """Roots, the package and the machine. What a forecast *is* comes from its plan and its package, never from here.

    Each field is overridden by an environment variable of its name, for example `STORMCAST_TW_INPUTS_ROOT`.
    """

    model_config = SettingsConfigDict(env_prefix="STORMCAST_TW_", frozen=True, extra="forbid")

    inputs_root: str = "var/inputs"
    """Holds a folder a provider: rwrp, qpesums, global_ai."""
    work_root: str = "var/work"
    """Holds what is on the way: inputs, prepared, forecast and products."""
    published_root: str = "var"
    """Holds `published/`, the only place readers look at."""
    package: Path = Path("packages/demo")
    """The model package that forecasts."""
    s3_endpoint: str | None = None
    """Address of an S3-compatible store; unset for Amazon's own."""
    s3_anonymous: bool = False
    """Ask without credentials. Otherwise key and secret come from below, or from where boto looks for them."""
    s3_key: str | None = None
    s3_secret: SecretStr | None = None
    s3_checksums: Literal["when_supported", "when_required"] = "when_required"
    """Whether every request and answer is checksummed; stores other than Amazon's often cannot for byte ranges."""
    prefect_home: Path = Path("var/prefect")
    """The project's own Prefect home; the user's stays untouched."""
    device: str = "cpu"
    """Where networks run: cpu or a torch device such as cuda:0."""
    threads: int = 0
    """torch threads on the CPU; 0 takes torch's own choice."""
    rollout_deadline_seconds: float = 3600.0
    """A rollout that takes longer is stopped; what it stored is kept."""

    def s3_options(self) -> dict[str, Any]:
        """Return what s3fs is told. Listings are never cached: another process may have sealed something meanwhile."""
        checks = {f"{what}_checksum_{verb}": self.s3_checksums for what, verb in _CHECKSUMS}
        return {
            "anon": self.s3_anonymous,
            "key": self.s3_key,
            "secret": self.s3_secret.get_secret_value() if self.s3_secret else None,
            "endpoint_url": self.s3_endpoint,
            "config_kwargs": checks,
            "use_listings_cache": False,
        }

    def prefect_environment(self) -> dict[str, str]:
        """Return the environment of every Prefect process: its own home, no telemetry, a patient start."""
        return {
            "PREFECT_HOME": str(self.prefect_home.absolute()),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        }


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, and tell fsspec how to reach S3."""
    chosen = Settings()
    fsspec.config.conf["s3"] = chosen.s3_options()
    return chosen


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the version and the first 8 hex of the sha256 of this package's sources, e.g. `0.1.0+1a2b3c4d`.

    Part of every plan: changed code is another run, with or without git.
    """
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        digest.update(source.relative_to(package).as_posix().encode())
        digest.update(source.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:8]}"
