"""The alarms: automations that turn events of stormcast_tw.operations.events into notifications. All upserts.

Where they are sent: STORMCAST_TW_ALARM_URL, a webhook that takes Slack's `{"text": ...}` (Slack, Mattermost,
Rocket.Chat, Teams through a relay); or STORMCAST_TW_ALARM_BLOCK, a notification block made on the Prefect page, as
`type/name`, for example `email-server-credentials/ops` or `slack-webhook/ops`. The server needs PostgreSQL: on SQLite
events get lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from stormcast_tw.operations.events import HEARTBEAT, NEWS_LABEL, Event, cycle_pattern, flow_pattern, training_pattern
from stormcast_tw.operations.timetable import OPERATIONS

WEBHOOK_BLOCK = "stormcast-alarm"


@dataclass(frozen=True)
class Alarm:
    """One automation: its events and its text, a Jinja template of the event; in Chinese, then in English.

    It rings when one of the events comes, or, where `after` names an event, when none has come `within` that time after
    it. `match` says which resources it is about, and whether only news rings.
    """

    name: str
    description: str
    events: tuple[str, ...]
    subject: str
    body: str
    match: Mapping[str, str | list[str]]
    after: str | None = None
    within: timedelta = timedelta(0)


_CYCLE_NEWS: Mapping[str, str | list[str]] = {"prefect.resource.id": cycle_pattern(), NEWS_LABEL: "true"}
_SEE = "處理方式 / What to do: {}"
OVERDUE = OPERATIONS.overdue - OPERATIONS.latency
"""How long after `cycle.due` an unpublished cycle is overdue."""

ALARMS = (
    Alarm(
        "stormcast inputs",
        "Inputs of a cycle are missing, degraded, or ready again: once per change of state",
        (Event.INPUTS_MISSING, Event.INPUTS_DEGRADED, Event.INPUTS_READY),
        "stormcast-tw {{ event.payload.cycle }}: {{ event.event }}",
        "{{ event.payload.text }}",
        _CYCLE_NEWS,
    ),
    Alarm(
        "stormcast cycle failed",
        "A cycle ended without a forecast",
        (Event.CYCLE_FAILED,),
        "stormcast-tw {{ event.payload.cycle }}: 預報失敗 / no forecast",
        "本時次沒有預報；前一時次的預報仍可使用。 / There is no forecast of this cycle; the one before still stands.\n"
        "{{ event.payload.reason }}\n"
        + _SEE.format("stormcast-tw forecast --cycle {{ event.payload.cycle }} (RUNBOOK: cycle failed)"),
        _CYCLE_NEWS,
    ),
    Alarm(
        "stormcast cycle overdue",
        "A cycle was due and nothing has been heard of it: neither published nor failed",
        (Event.CYCLE_PUBLISHED, Event.CYCLE_FAILED),
        "stormcast-tw {{ event.payload.cycle }}: 預報逾時 / overdue",
        "應已發布而未發布，亦無失敗訊息：作業主機或 worker 可能已停止。 / It should be published by now, and no failure"
        " was told: a worker, or its host, may have stopped.\n"
        + _SEE.format("stormcast-tw watch; prefect work-pool ls (RUNBOOK: cycle overdue)"),
        {"prefect.resource.id": cycle_pattern()},
        after=Event.CYCLE_DUE,
        within=OVERDUE,
    ),
    Alarm(
        "stormcast run failed",
        "A backfill, a verification, a training, a reconciliation ended badly",
        (Event.RUN_FAILED,),
        "stormcast-tw {{ event.payload.flow }}: 作業失敗 / failed",
        "{{ event.payload.run }} ({{ event.payload.asked }})\n{{ event.payload.reason }}\n"
        + _SEE.format("RUNBOOK: {{ event.payload.flow }} failed"),
        {"prefect.resource.id": flow_pattern(), NEWS_LABEL: "true"},
    ),
    Alarm(
        "stormcast skill dropped",
        "The newest week scores worse than the four weeks before suggest: once, until it has recovered",
        (Event.SKILL_DROPPED,),
        "stormcast-tw {{ event.payload.cycle }}: {{ event.event }}",
        "{{ event.payload.text }}",
        _CYCLE_NEWS,
    ),
    Alarm(
        "stormcast training ill",
        "A training stopped: NaN, divergence, a stall, falling throughput, a full disk",
        (Event.TRAINING_ILL,),
        "stormcast-tw training {{ event.payload.run }}: {{ event.payload.what }}",
        "{{ event.payload.text }}",
        {"prefect.resource.id": training_pattern(), NEWS_LABEL: "true"},
    ),
)
"""THE table of alarms; a test compares its events with those that the code emits."""

ALARM_FAILED = Alarm(
    "stormcast alarm failed",
    "An alarm could not be sent; this text does not depend on the event that broke it",
    ("prefect.automation.action.failed",),
    "stormcast-tw: 告警未能送出 / an alarm could not be sent",
    "See prefect.automation.action.failed in the Event Feed of the Prefect page (RUNBOOK: alarm failed).",
    {"prefect.resource.id": "prefect.automation.*", "prefect.resource.name": [alarm.name for alarm in ALARMS]},
)

_ENDED = tuple(f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed"))
SILENCE = timedelta(seconds=120)
"""A run beats every 30 s; one that misses four is dead."""


def upsert_recovery(client: SyncPrefectClient) -> None:
    """Create or update what brings a dead run back: it is marked as crashed, and a crash starts `reconcile`."""
    reconcile = client.read_deployment_by_name("reconcile/reconcile").id
    silent = EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        after={HEARTBEAT},
        expect={HEARTBEAT, *_ENDED},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=SILENCE,
    )
    crashed = EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related={
            "prefect.resource.role": "flow",
            "prefect.resource.name": ["operations", "backfill"],
        },
        expect={"prefect.flow-run.Crashed"},
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )
    again = RunDeployment(deployment_id=reconcile)
    mark = ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=f"no heartbeat for {SILENCE}")
    for name, why, trigger, action in (
        ("stormcast silent runs", "A run that sends no heartbeat is marked as crashed", silent, mark),
        ("stormcast recovery", "After a crash, what is missing is started", crashed, again),
    ):
        _upsert(client, AutomationCore(name=name, description=why, trigger=trigger, actions=[action]))


def upsert_alarms(client: SyncPrefectClient, environment: Mapping[str, str]) -> list[str]:
    """Create or update every alarm and return their names; none if the environment names no destination."""
    destination = _destination(client, environment)
    if destination is None:
        return []
    wanted = (*ALARMS, ALARM_FAILED)
    for alarm in wanted:
        _upsert(client, _automation(alarm, destination))
    return [alarm.name for alarm in wanted]


def _destination(client: SyncPrefectClient, environment: Mapping[str, str]) -> UUID | None:
    """Return the id of the block that notifications go through."""
    if named := environment.get("STORMCAST_TW_ALARM_BLOCK"):
        kind, _, name = named.partition("/")
        return client.read_block_document_by_name(name, kind).id
    if url := environment.get("STORMCAST_TW_ALARM_URL"):
        block = CustomWebhookNotificationBlock(
            name=WEBHOOK_BLOCK, url=url, json_data={"text": "{{subject}}\n{{body}}"}, timeout=20
        )
        block.save(WEBHOOK_BLOCK, overwrite=True)
        return client.read_block_document_by_name(WEBHOOK_BLOCK, "custom-webhook").id
    return None


def _automation(alarm: Alarm, destination: UUID) -> AutomationCore:
    return AutomationCore(
        name=alarm.name,
        description=alarm.description,
        trigger=EventTrigger(
            match=dict(alarm.match),
            after=set() if alarm.after is None else {str(alarm.after)},
            expect={str(event) for event in alarm.events},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive if alarm.after is None else Posture.Proactive,
            threshold=1,
            within=alarm.within,
        ),
        actions=[SendNotification(block_document_id=destination, subject=alarm.subject, body=alarm.body)],
    )


def _upsert(client: SyncPrefectClient, wanted: AutomationCore) -> None:
    """Create or update an automation. Names are not unique on a server: the first is updated, others are removed."""
    existing = client.read_automations_by_name(wanted.name)
    if not existing:
        client.create_automation(wanted)
        return
    client.update_automation(existing[0].id, wanted)
    for other in existing[1:]:
        client.delete_automation(other.id)
