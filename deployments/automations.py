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
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from stormcast_tw.operations.events import NEWS_LABEL, Event, cycle_pattern, training_pattern

WEBHOOK_BLOCK = "stormcast-alarm"


@dataclass(frozen=True)
class Alarm:
    """One automation: its events, whether only news or every one, and its text (a Jinja template of the event)."""

    name: str
    description: str
    events: tuple[str, ...]
    subject: str
    body: str
    match: Mapping[str, str]


ALARMS = (
    Alarm(
        "stormcast inputs",
        "Inputs of a cycle are missing, degraded, or ready again: once per change of state",
        (Event.INPUTS_MISSING, Event.INPUTS_DEGRADED, Event.INPUTS_READY),
        "stormcast-tw {{ event.payload.cycle }}: {{ event.event }}",
        "{{ event.payload.text }}",
        {"prefect.resource.id": cycle_pattern(), NEWS_LABEL: "true"},
    ),
    Alarm(
        "stormcast cycle failed",
        "A cycle ended without a forecast",
        (Event.CYCLE_FAILED,),
        "stormcast-tw {{ event.payload.cycle }}: no forecast",
        "{{ event.payload.reason }}",
        {"prefect.resource.id": cycle_pattern(), NEWS_LABEL: "true"},
    ),
    Alarm(
        "stormcast skill dropped",
        "The newest week scores worse than the four weeks before suggest: once, until it has recovered",
        (Event.SKILL_DROPPED,),
        "stormcast-tw {{ event.payload.cycle }}: {{ event.event }}",
        "{{ event.payload.text }}",
        {"prefect.resource.id": cycle_pattern(), NEWS_LABEL: "true"},
    ),
    Alarm(
        "stormcast training ill",
        "A training stopped: NaN, divergence, a stall, falling throughput, a full disk",
        (Event.TRAINING_ILL,),
        "stormcast-tw training {{ event.payload.run }}: {{ event.payload.what }}",
        "{{ event.payload.text }}",
        {"prefect.resource.id": training_pattern(), NEWS_LABEL: "true"},
    ),
    Alarm(
        "stormcast alarm failed",
        "An alarm could not be sent; this text does not depend on the event that broke it",
        ("prefect.automation.action.failed",),
        "stormcast-tw: an alarm could not be sent",
        "See prefect.automation.action.failed in the Event Feed of the Prefect page.",
        {"prefect.resource.id": "prefect.automation.*"},
    ),
)
"""THE table of alarms; a test compares its events with those that the code emits."""


def upsert_alarms(client: SyncPrefectClient, environment: Mapping[str, str]) -> list[str]:
    """Create or update every alarm and return their names; none if the environment names no destination."""
    destination = _destination(client, environment)
    if destination is None:
        return []
    for alarm in ALARMS:
        _upsert(client, _automation(alarm, destination))
    return [alarm.name for alarm in ALARMS]


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
            expect={str(event) for event in alarm.events},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
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
