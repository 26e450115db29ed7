"""Which inputs a cycle needs, which stand-ins may serve, and what serves now. This only looks; tasks do the waiting.

`ROWS` is one ordered table: an input is served by the first row, and within a row by the newest run, whose files all
exist. Up to the row's expected age it is *ready*; if it is older, or from a stand-in, *degraded*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from stormcast_tw.cycle import Cycle, hours
from stormcast_tw.errors import BadInput, StormcastError
from stormcast_tw.inputs.input_set import Input, InputName, InputSet
from stormcast_tw.sources.base import Located, Source
from stormcast_tw.storage.provider_files import SourceFile
from stormcast_tw.variables import VariableSet, variable_set

STATE_FROM_RWRP = variable_set("rwrp", "t2m", "u10m", "v10m", "sp", "orog")
RAIN = variable_set("rain", "tp01")
PAST_HOURS = 23
"""Together with the hour at init_time, a day of observed rain."""


@dataclass(frozen=True)
class Row:
    """One way to serve an input: a provider, and how many hours before init_time its runs begin, newest first.

    `ages` is (0,) for observations. `expected_age` is what the provider's measured latency allows, in hours.
    """

    input: InputName
    provider: str
    ages: tuple[int, ...]
    expected_age: int
    stand_in: bool = False


_SIX_HOURLY = (6, 12, 18)
ROWS = (
    # A newer run has replaced any that is older than six hours; latency of a radar-assimilating WRF: about 3 h.
    Row("state", "rwrp", (0, 1, 2, 3, 4, 5, 6), 3),
    # Rain of the past hour arrives ten minutes after the hour, in whichever form it is delivered.
    Row("rain", "qpesums", (0,), 0),
    Row("rain", "qpe_open_data", (0,), 0),
    Row("rain", "qpepre", (0,), 0),
    Row("rain", "rwrp_rain", (1, 2, 3, 4, 5, 6), 3, stand_in=True),
    Row("model_rain", "rwrp_rain", (1, 2, 3, 4, 5, 6), 6),
    # Global models arrive 7 to 9 hours after their start: at T rarely the run of T-6, always that of T-12.
    Row("background", "global_ai", _SIX_HOURLY, 12),
    Row("background", "aifs", _SIX_HOURLY, 12, stand_in=True),
    Row("background", "mlwp_pangu", _SIX_HOURLY, 12, stand_in=True),
    Row("background", "mlwp_graphcast", _SIX_HOURLY, 12, stand_in=True),
    Row("background", "mlwp_aurora", _SIX_HOURLY, 12, stand_in=True),
    Row("background", "mlwp_fourcastnet", _SIX_HOURLY, 12, stand_in=True),
    Row("background", "gfs", _SIX_HOURLY, 12, stand_in=True),
    Row("background", "cwa_wrf", _SIX_HOURLY, 12, stand_in=True),
    Row("past_rain", "qpesums", (0,), 0),
)
"""THE table, in the order in which stand-ins are taken."""

REQUIRED: tuple[InputName, ...] = ("state", "rain", "background")
"""Without one of these there is no forecast; a package may make state and rain from the background alone. The model's
rain is also needed where radars do not see."""
ALONE = "background alone"
"""The last stand-in, which has no files."""


@dataclass(frozen=True)
class Need:
    """What a forecast needs of its inputs. `begins_alone`: its package can make a state from the background alone."""

    cycle: Cycle
    lead_hours: int
    background_set: VariableSet
    begins_alone: bool = False
    radar_sees_all: bool = True
    """False if radars leave a part of the package's grid unseen, where only a model has rain."""

    def requires(self, name: InputName) -> bool:
        """True if there is no forecast without this input."""
        return name in REQUIRED or (name == "model_rain" and not self.radar_sees_all and not self.begins_alone)

    def of(self, name: InputName) -> tuple[tuple[datetime, ...], VariableSet]:
        """Return the valid times and variables of an input: background at every hour, the others at init_time."""
        if name == "background":
            return tuple(self.cycle.valid_time(lead) for lead in range(self.lead_hours + 1)), self.background_set
        return (self.cycle.init_time,), STATE_FROM_RWRP if name == "state" else RAIN


def look(need: Need, providers: Mapping[str, Source], rejected: Mapping[str, str] | None = None) -> InputSet:
    """Look once, without reading, for everything a forecast needs.

    `rejected` holds the reasons why versions of files (`address@version`) must not serve again; a file that is
    delivered again has another version. A provider that is not in `providers` does not serve.
    """
    names: tuple[InputName, ...] = ("state", "rain", "model_rain", "background")
    served = [_serve(need, name, providers, rejected or {}) for name in names]
    return InputSet(cycle=str(need.cycle), inputs=(*served, _past_rain(need, providers, rejected or {})))


def _serve(need: Need, name: InputName, providers: Mapping[str, Source], rejected: Mapping[str, str]) -> Input:
    """Return the input as served by the first row and run whose files all exist."""
    times, variables = need.of(name)
    rows = [row for row in ROWS if row.input == name and row.provider in providers]
    wanted = Input(
        name=name,
        source=rows[0].provider if rows else "none",
        required=need.requires(name),
        status="missing",
        valid_times=times,
        variables=variables.ids,
        expected_age_hours=rows[0].expected_age if rows else 0,
        reason="" if rows else "no provider of it is configured",
    )
    tried: dict[str, list[str]] = {}
    for row, init_time in _candidates(rows, need.cycle):
        try:
            located = providers[row.provider].find(times, variables, init_time)
            _require_not_rejected(located, rejected)
        except StormcastError as error:
            why = tried.setdefault(row.provider, [])
            why.insert(0 if isinstance(error, BadInput) else len(why), str(error))
            continue
        return _served(wanted, row, located, need.cycle, tried)
    reason = wanted.reason or _summarise(tried)
    if need.begins_alone and name in ("state", "rain"):
        made = f"made from the background alone because {reason}"
        return wanted.model_copy(update={"source": ALONE, "status": "degraded", "stand_in": True, "reason": made})
    return wanted.model_copy(update={"reason": reason})


def _candidates(rows: list[Row], cycle: Cycle) -> Iterator[tuple[Row, datetime | None]]:
    for row in rows:
        for age in row.ages:
            yield row, None if row.ages == (0,) else cycle.init_time - hours(age)


def _require_not_rejected(located: Located, rejected: Mapping[str, str]) -> None:
    for file in located.files:
        if reason := rejected.get(version_of(file)):
            raise BadInput(reason)


def version_of(file: SourceFile) -> str:
    """Return the name of one version of a file, for `rejected`."""
    return f"{file.address}@{file.version}"


def _served(wanted: Input, row: Row, located: Located, cycle: Cycle, tried: Mapping[str, list[str]]) -> Input:
    served = wanted.model_copy(
        update={
            "source": row.provider,
            "status": "ready",
            "files": located.files,
            "init_time": located.init_time,
            "expected_age_hours": row.expected_age,
            "stand_in": row.stand_in,
        }
    )
    age, because = served.age_hours(cycle), f" because {_summarise(tried)}" if tried else ""
    if row.stand_in:
        return served.model_copy(
            update={"status": "degraded", "reason": f"{row.provider} stands in for {wanted.source}{because}"}
        )
    if age is not None and age > row.expected_age:
        old = f"{row.provider} is {age} h old, expected are {row.expected_age} h"
        return served.model_copy(update={"status": "degraded", "reason": old + because})
    return served


def _summarise(tried: Mapping[str, list[str]]) -> str:
    """Return the first reason of each of the first three providers, and how many more there are."""
    reasons = [why[0] for why in tried.values()][:3]
    more = sum(map(len, tried.values())) - len(reasons)
    return "; ".join(reasons or ["nothing was found"]) + (f" (and {more} more)" if more else "")


def _past_rain(need: Need, providers: Mapping[str, Source], rejected: Mapping[str, str]) -> Input:
    """Return the available observed hours of the 23 before init_time, which with it make a day; never required."""
    row = next(row for row in ROWS if row.input == "past_rain")
    files: list[SourceFile] = []
    times: list[datetime] = []
    for before in range(PAST_HOURS, 0, -1):
        time = need.cycle.valid_time(-before)
        try:
            located = providers[row.provider].find((time,), RAIN)
            _require_not_rejected(located, rejected)
        except StormcastError:
            continue
        files += located.files
        times.append(time)
    short = f"{len(times)} of {PAST_HOURS} hours are there"
    return Input(
        name="past_rain",
        source=row.provider,
        required=False,
        status="ready" if len(times) == PAST_HOURS else "degraded" if times else "missing",
        files=tuple(files),
        valid_times=tuple(times),
        variables=RAIN.ids,
        expected_age_hours=row.expected_age,
        reason="" if len(times) == PAST_HOURS else short,
    )
