"""One question, asked from outside: is what is published fresh enough? And numbers about it, for Prometheus.

Reads `latest.json` and one manifest, on disk or S3. Needs no Prefect: a server that is down cannot say that it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stormcast_tw.cycle import Cycle
from stormcast_tw.operations.disk import Needed, Space, spaces
from stormcast_tw.operations.freshness import Freshness, State, expected, freshness
from stormcast_tw.operations.timetable import OPERATIONS
from stormcast_tw.publication.catalogue import Published
from stormcast_tw.publication.pointers import latest
from stormcast_tw.regions import HOME
from stormcast_tw.settings import Settings
from stormcast_tw.storage.artifact import Artifact
from stormcast_tw.storage.store import Store

_HEADS = {
    "fresh": ("預報為最新", "the forecast is fresh"),
    "late": ("預報延遲，可繼續使用", "the forecast is LATE; it may still be used"),
    "stale": ("預報已過時，請勿使用", "the forecast is STALE; do not rely on it"),
    "nothing": ("尚未發布任何預報", "nothing is published"),
}
_WHAT_TO_DO = (
    "處置：以 `stormcast-tw inputs --cycle {cycle}` 檢查輸入資料；資料齊全時執行"
    " `stormcast-tw forecast --cycle {cycle} --experiment {experiment}`",
    "What to do: `stormcast-tw inputs --cycle {cycle}` shows which inputs are there; once they are,"
    " `stormcast-tw forecast --cycle {cycle} --experiment {experiment}`",
)
_STATES: tuple[State, ...] = ("fresh", "late", "stale")
_PREFIX = "stormcast_tw"


@dataclass(frozen=True)
class Watched:
    """What was seen at `now`: the newest published run and how fresh it is, None if there is none; the disks."""

    experiment: str
    now: datetime
    run: Artifact | None
    freshness: Freshness | None
    disks: tuple[Space, ...]

    @property
    def fine(self) -> bool:
        """True unless what is published is stale, or there is nothing."""
        return self.freshness is not None and self.freshness.state != "stale"

    @property
    def text(self) -> str:
        """The answer in Traditional Chinese and English: state, newest cycle and its age, what is due, what to do."""
        fresh, run = self.freshness, self.run
        chinese, english = _HEADS["nothing" if fresh is None else fresh.state]
        lines = [f"stormcast-tw {self.experiment}: {chinese} / {english}"]
        newest_due = OPERATIONS.cycle_of(self.now)
        if fresh is not None and run is not None:
            begun, cycle = _both_clocks(Cycle.parse(run.address.cycle).init_time), run.address.cycle
            then = _both_clocks(fresh.next_expected)
            lines.append(f"- 最新 / newest: {cycle}, {begun}, 距起報 / age {_duration(fresh.age)}")
            lines.append(f"- 下次 / next: {fresh.due}, 預計發布 / expected {then}")
            if missing := _missing(fresh.due, self.now):
                lines.append(f"- 逾時未發布 {missing} 個週期 / cycles overdue: {missing}")
        if fresh is None or fresh.state != "fresh":
            lines += [line.format(cycle=newest_due, experiment=self.experiment) for line in _WHAT_TO_DO]
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """The answer for programs: times in UTC, ages in seconds; None where nothing is published."""
        fresh, run = self.freshness, self.run
        return {
            "experiment": self.experiment,
            "now": _stamp(self.now),
            "fine": self.fine,
            "state": None if fresh is None else fresh.state,
            "latest": None if run is None else f"{run.address.cycle}/{run.address.run}",
            "status": None if run is None else Published.of(run).status,
            "age_seconds": None if fresh is None else int(fresh.age.total_seconds()),
            "due": None if fresh is None else str(fresh.due),
            "next_expected": None if fresh is None else _stamp(fresh.next_expected),
            "valid_until": None if fresh is None else _stamp(fresh.valid_until),
        }


def _missing(due: Cycle, now: datetime) -> int:
    """Return how many cycles, from the one that is due next, should have been published by now."""
    last = Cycle.at_or_before(now)
    return sum(expected(cycle) <= now for cycle in due.until(last))


def look(settings: Settings, experiment: str, now: datetime) -> Watched:
    """Look once. Raises BadInput where `latest.json` is damaged, Refused where it names a cycle of the future."""
    run = latest(Store(settings.published_root), experiment)
    fresh = None if run is None else freshness(Cycle.parse(run.address.cycle), now)
    return Watched(experiment, now, run, fresh, tuple(spaces(settings, Needed())))


def metrics(seen: Watched) -> str:
    """Return what was seen in Prometheus's text format (version 0.0.4), times in seconds and sizes in bytes."""
    lines = list[str]()
    for name, what, samples in _families(seen):
        lines += [f"# HELP {_PREFIX}_{name} {what}", f"# TYPE {_PREFIX}_{name} gauge"]
        for labels, value in samples:
            named = {"experiment": seen.experiment, **labels}
            text = ",".join(f'{label}="{_escaped(said)}"' for label, said in named.items())
            lines.append(f"{_PREFIX}_{name}{{{text}}} {value:.12g}")
    return "\n".join(lines) + "\n"


_Samples = list[tuple[dict[str, str], float]]


def _families(seen: Watched) -> Iterator[tuple[str, str, _Samples]]:
    """Yield name, help and samples of each metric; one without a sample is left out."""
    yield "fresh_enough", "1 unless what is published is stale or there is nothing.", [({}, float(seen.fine))]
    if seen.freshness is not None and seen.run is not None:
        yield from _of_freshness(seen.freshness, seen.now)
        yield from _of_run(seen.run, seen.now)
    if seen.disks:
        free: _Samples = [({"folder": disk.folder}, float(disk.free)) for disk in seen.disks]
        yield "disk_free_bytes", "Free bytes of the disks of the work and published roots.", free


def _of_freshness(fresh: Freshness, now: datetime) -> Iterator[tuple[str, str, _Samples]]:
    states: _Samples = [({"state": state}, float(state == fresh.state)) for state in _STATES]
    yield "state", "1 for the state that holds.", states
    yield (
        "latest_age_seconds",
        "Time since the start of the newest published forecast.",
        [({}, fresh.age.total_seconds())],
    )
    yield (
        "next_expected_in_seconds",
        "Time until the next is expected to be published; negative if it is overdue.",
        [({}, (fresh.next_expected - now).total_seconds())],
    )


def _of_run(run: Artifact, now: datetime) -> Iterator[tuple[str, str, _Samples]]:
    published = Published.of(run)
    rows = {row["input"]: row for row in published.inputs if "input" in row}
    yield (
        "latest_degraded",
        "1 if the newest forecast was made with a stand-in or an old input.",
        [({}, float(published.status == "degraded"))],
    )
    degraded: _Samples = [
        ({"input": name, "served_by": row.get("served by", "")}, float(row.get("status", "").startswith("degraded")))
        for name, row in rows.items()
    ]
    ages: _Samples = [
        ({"input": name}, (now - begun).total_seconds())
        for name, row in rows.items()
        if (begun := _time(row.get("initialised (UTC)", ""))) is not None
    ]
    stages: _Samples = [({"stage": stage}, seconds) for stage, seconds in (published.stage_seconds or {}).items()]
    if degraded:
        yield "input_degraded", "1 for an input of the newest forecast that was degraded.", degraded
    if ages:
        yield "input_age_seconds", "Time since the start of the model run that served an input.", ages
    if stages:
        yield "stage_seconds", "Time that each stage of the newest forecast took.", stages
    if each := published.seconds_per_member_hour:
        yield "member_hours_per_second", "Hours of single members that the rollout made a second.", [({}, 1 / each)]


def _time(text: str) -> datetime | None:
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC) if text else None


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _stamp(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _both_clocks(time: datetime) -> str:
    here = f"{time.astimezone(HOME.clock):%Y-%m-%d %H:%M}"
    return f"{here} 臺灣時間 / {time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _duration(time: timedelta) -> str:
    minutes = int(time.total_seconds()) // 60
    return f"{minutes // 60} h {minutes % 60} min"
