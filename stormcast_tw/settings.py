"""Where things are and how to reach them: `STORMCAST_TW_*` environment variables, read once."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_CHECKSUMS = (("request", "calculation"), ("response", "validation"))
_STORE_ATTEMPTS = 4

_JSON_LOGGING = Path(__file__).parent / "operations" / "logging.yml"

WORLD_SEED = 20150808
"""Seed of the simulated Taiwan where none is given."""


_CREDENTIALS = re.compile(r"\w://[^/\s]*@|\w://[^/\s:]+:(?!\d+(?:/|$))\S*@")


def _without_credentials(address: str) -> str:
    if _CREDENTIALS.search(address):
        raise ValueError("holds credentials, and would be written into manifests; give them as .._KEY and .._SECRET")
    return address


Root = Annotated[str, AfterValidator(_without_credentials)]
"""A folder or URL. What is read and written there is named by it, in manifests, logs and errors."""


class Provider(BaseModel):
    """Where one provider's files are, if not below the inputs root, and how to reach them.

    Unset fields fall back to the general settings; only a `root` without an `endpoint` is always at Amazon's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Root | None = None
    """A local path or s3://, e.g. s3://ecmwf-forecasts."""
    endpoint: Root | None = None
    anonymous: bool | None = None
    key: str | None = None
    secret: SecretStr | None = None


Days = Annotated[int, Field(ge=1, le=36500)]

SHIPPED_PACKAGES = Path(__file__).parent / "packages"


def package_folder(folder: Path) -> Path:
    """Return the folder of a model package; a mere name, such as `demo`, is that of one that is shipped."""
    shipped = SHIPPED_PACKAGES / folder
    return shipped if len(folder.parts) == 1 and shipped.is_dir() else folder


class Attribution(BaseModel):
    """Who forecasts, and on what terms: global attributes of what is published, by their names in ACDD-1.3 and CF."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    institution: str = "stormcast-tw"
    creator_name: str = "stormcast-tw"
    creator_email: str = ""
    creator_url: str = ""
    publisher_name: str = ""
    publisher_email: str = ""
    publisher_url: str = ""
    naming_authority: str = "stormcast-tw"
    project: str = "stormcast-tw"
    license: str = "not stated: ask the creator before you pass this on (未載明授權條款，轉載前請洽製作單位)"
    acknowledgement: str = "StormCast (doi:10.1126/sciadv.adv0423), NVIDIA PhysicsNeMo"
    references: str = "doi:10.1126/sciadv.adv0423"
    summary: str = (
        "Hourly ensemble forecast of temperature, wind and rain for Taiwan on a grid of about 2 km, by a generative "
        "machine-learning model. 臺灣約 2 公里網格的逐時系集預報：氣溫、風與雨量，由生成式機器學習模型產生。"
    )
    keywords: str = "weather forecast, ensemble forecast, Taiwan, precipitation, wind, air temperature, StormCast"

    @property
    def stated(self) -> dict[str, str]:
        """The attributes that say something, by name; the creator is the publisher too where none is named."""
        given = {name: text for name, text in self.model_dump().items() if text}
        as_creator = {name.replace("creator", "publisher"): text for name, text in given.items() if "creator" in name}
        return as_creator | given if "publisher_name" not in given else given


class Retention(BaseModel):
    """How many days things are kept after they were sealed, e.g. `STORMCAST_TW_RETENTION__MEMBERS_DAYS=30`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    members_days: Days = 14
    """Members of published runs; the prepared inputs they were made from stay as long as they."""
    products_days: Days = 400
    """Products of published runs: a year, and a month to compare it with the one before. Manifests stay for good."""
    inputs_days: Days = 30
    """Inputs as the providers delivered them, below the work root."""
    work_days: Annotated[int, Field(ge=2, le=36500)] = 2
    """Drafts that nobody writes to any more, and what published runs were made of."""
    cycles: Annotated[int, Field(ge=1, le=36500)] = 8
    """The newest cycles of an experiment, of which nothing sealed goes, however old they are."""

    @model_validator(mode="after")
    def _members_go_first(self) -> Self:
        if self.members_days > self.products_days:
            raise ValueError(
                f"members_days is {self.members_days}; allowed at most products_days, {self.products_days}"
            )
        return self


class ZoneFile(BaseModel):
    """A file of zones, TopoJSON or GeoJSON of polygons in degrees, and which of its properties say what.

    Each zone has a code and two names. `parent` holds the code of the zone that it is part of, `level` what kind of
    zone it is; where there is no such property a zone is part of none, and of the level "zone".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    code: str = "code"
    name_zh: str = "name_zh"
    name_en: str = "name_en"
    parent: str = "parent"
    level: str = "level"
    attribution: str = ""
    """Whose data it is, for all that is made with it."""

    @property
    def properties(self) -> dict[str, str]:
        """Which property of a zone in the file is its code, names, parent and level."""
        return {"code": self.code, "zh": self.name_zh, "en": self.name_en, "parent": self.parent, "level": self.level}


class Settings(BaseSettings):
    """Roots, the package and the machine. What a forecast *is* comes from its plan and its package, never from here.

    Each field is overridden by an environment variable of its name, for example `STORMCAST_TW_INPUTS_ROOT`.
    """

    model_config = SettingsConfigDict(
        env_prefix="STORMCAST_TW_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    inputs_root: Root = "var/inputs"
    """Holds one folder per provider: rwrp, qpesums, global_ai and so on (`stormcast-tw inputs` lists them)."""
    providers: dict[str, Provider] = Field(default_factory=dict)
    """Providers that are elsewhere, e.g. `STORMCAST_TW_PROVIDERS__AIFS__ROOT=s3://ecmwf-forecasts` and
    `STORMCAST_TW_PROVIDERS__AIFS__ANONYMOUS=true`."""
    qpesums_datum: Literal["wgs84", "twd67"] = "wgs84"
    """Geodetic datum of QPESUMS's coordinates. Its files declare TWD67; whether the points really lie on it is not
    known. The difference is 0.8 km (DECISIONS.md)."""
    orography: str | None = None
    """File below the inputs root with the surface geopotential on a 0.25-degree grid, GRIB or NetCDF. Without it,
    models that give no surface pressure cannot drive packages that need one."""
    qpepre_clock: Literal["utc", "taipei"] | None = None
    qpepre_stamp: Literal["end", "start"] | None = None
    """Which clock QPEPRE's file names use, and which of their two times ends the hour. No default, because this is not
    documented; `stormcast-tw doctor` compares the files with RWRP's rain. While unset, QPEPRE is not used."""
    work_root: Root = "var/work"
    """Holds intermediate artifacts: inputs, prepared, forecast and products."""
    published_root: Root = "var"
    """Holds `published/`, the only place readers look."""
    package: Annotated[Path, AfterValidator(package_folder)] = Field(default=Path("demo"), validate_default=True)
    """The model package that forecasts: its folder, or the name of one that is shipped (`demo`)."""
    oper_packages: tuple[str, ...] = ()
    """Digests of the packages that `oper` trusts without a signature, as `stormcast-tw package show` prints them, e.g.
    `STORMCAST_TW_OPER_PACKAGES='["9f66def6..."]'`."""
    oper_keys: tuple[Path, ...] = ()
    """Public keys (PEM, Ed25519) of those who may sign packages for `oper`, e.g.
    `STORMCAST_TW_OPER_KEYS='["/etc/stormcast/trainer.pub.pem"]'`."""
    retention: Retention = Retention()
    """What `stormcast-tw prune` keeps, and how long."""
    attribution: Attribution = Attribution()
    """What published files say of who made them, e.g. `STORMCAST_TW_ATTRIBUTION__INSTITUTION="..."`, `..__LICENSE`."""
    grib_centre: int = Field(default=255, ge=0, le=65535)
    grib_subcentre: int = Field(default=255, ge=0, le=65535)
    """Centre and subcentre in exported GRIB files (WMO common code tables C-11 and C-12); 255: not a centre's."""
    cap_for_oper: bool = False
    """Whether drafts of CAP messages are made of operational forecasts too; their status is Exercise all the same."""
    exports: tuple[str, ...] | None = None
    """The formats that every published run is made into (`stormcast_tw/exports/table.py`), e.g. `'["grib", "cog"]'`;
    `'[]'` for none, unset for the usual ones."""
    archive_root: Root = "var/archive"
    """Holds one growing dataset an experiment, of all that was published: a local path or s3://."""
    archive_members: bool = False
    """Whether the members are archived beside the products."""
    zones: ZoneFile | None = None
    """Zones that hazards are told for, in place of the region's: `STORMCAST_TW_ZONES__PATH=basins.geojson`, and
    `..__CODE`, `..__NAME_ZH`, `..__NAME_EN`, `..__PARENT`, `..__LEVEL` where its properties are called otherwise."""
    s3_endpoint: Root | None = None
    """Address of an S3-compatible store; unset for Amazon's own."""
    s3_anonymous: bool = False
    """Send requests without credentials. Otherwise `s3_key` and `s3_secret` are used, or what boto finds."""
    s3_key: str | None = None
    s3_secret: SecretStr | None = None
    s3_timeout_seconds: float = 20.0
    """A store that sends nothing for this long is asked once more; after that, a stand-in serves."""
    s3_checksums: Literal["when_supported", "when_required"] = "when_required"
    """When requests and answers are checksummed; stores other than Amazon's often cannot do it for byte ranges."""
    prefect_home: Path = Path("var/prefect")
    """The project's own Prefect home; the user's stays untouched."""
    log: Literal["text", "json"] = "text"
    """How logs are written: for people, or one JSON object a line (`operations.logs`)."""
    device: str = "cpu"
    """Where networks run: cpu or a torch device such as cuda:0."""
    threads: int = 0
    """torch threads on the CPU; 0: torch's default."""
    rollout_deadline_seconds: float = 3600.0
    """A rollout that takes longer is stopped; what it stored is kept."""
    rollout_silent_seconds: float = 900.0
    """So is one that stores nothing for so long, as a device that hangs does; then it is tried once more."""

    def s3_options(self, provider: Provider | None = None) -> dict[str, Any]:
        """Return the options for s3fs, for our own stores or for one provider's.

        Listings are never cached: another process may have sealed something meanwhile. A request to our own stores that
        fails with a server error (5xx) is repeated; one to a provider is not: the task retries, or a stand-in serves.
        """
        here = provider or Provider()
        anonymous = self.s3_anonymous if here.anonymous is None else here.anonymous
        key, secret = (here.key, here.secret) if here.key else (self.s3_key, self.s3_secret)
        checks: dict[str, Any] = {f"{what}_checksum_{verb}": self.s3_checksums for what, verb in _CHECKSUMS}
        patience = {
            "connect_timeout": 5.0,
            "read_timeout": self.s3_timeout_seconds,
            "retries": {"mode": "standard", "total_max_attempts": _STORE_ATTEMPTS if provider is None else 1},
        }
        own_address = here.root is not None and here.endpoint is None
        return {
            "anon": anonymous,
            "key": None if anonymous else key,
            "secret": None if anonymous or secret is None else secret.get_secret_value(),
            "endpoint_url": here.endpoint or (None if own_address else self.s3_endpoint),
            "config_kwargs": checks | patience,
            "use_listings_cache": False,
        }

    def place(self, provider: str) -> tuple[str, dict[str, Any]]:
        """Return the root of a provider's files and the fsspec options to reach them; "" is the inputs root."""
        configured = self.providers.get(provider, Provider())
        root = configured.root or f"{self.inputs_root}/{provider}".rstrip("/")
        return root, self.s3_options(configured) if root.startswith("s3://") else {}

    def prefect_environment(self) -> dict[str, str]:
        """Return the environment of every Prefect process: its own home, no telemetry, how logs are written."""
        log = {"PREFECT_LOGGING_SETTINGS_PATH": str(_JSON_LOGGING)} if self.log == "json" else {}
        return log | {
            "PREFECT_HOME": str(self.prefect_home.absolute()),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            # A flow's own client asks a server that is away, or whose database is, for a quarter of an hour.
            "PREFECT_CLIENT_MAX_RETRIES": "9",
            "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500,504",
        }

    def use_prefect_home(self) -> None:
        """Set Prefect's environment before it is imported; variables that the user has set are kept."""
        for name, value in self.prefect_environment().items():
            os.environ.setdefault(name, value)
        Path(os.environ["PREFECT_HOME"]).parent.mkdir(parents=True, exist_ok=True)  # Prefect makes one folder, not two


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, and configure fsspec for S3."""
    import fsspec

    chosen = Settings()
    fsspec.config.conf["s3"] = chosen.s3_options()
    return chosen
