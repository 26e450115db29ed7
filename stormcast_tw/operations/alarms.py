"""What an alarm about inputs says, and when it is news. Read by people on call: Traditional Chinese, then English."""

from __future__ import annotations

from stormcast_tw.cycle import Cycle
from stormcast_tw.errors import Conflict
from stormcast_tw.inputs.input_set import InputSet
from stormcast_tw.storage.store import Store

_HEADS = {
    "ready": ("輸入資料正常", "all inputs are ready"),
    "degraded": ("輸入資料降級，預報照常進行", "inputs are DEGRADED; the forecast goes on"),
    "missing": ("缺少輸入資料，無法產生預報", "inputs are MISSING; there is no forecast"),
}
_WHAT_TO_DO = {
    "ready": "",
    "degraded": "What to do: contact the provider that a stand-in replaces, or whose files look suspicious;"
    " `stormcast-tw inputs --cycle {cycle}` shows what has arrived.",
    "missing": "What to do: `stormcast-tw inputs --cycle {cycle} --follow` shows what arrives; once it is complete,"
    " run the deployment `operations` (or `stormcast-tw forecast`) with cycle {cycle}.",
}


def text(inputs: InputSet) -> str:
    """Return the alarm: the cycle, its inputs, what stands in for what, and what to do."""
    chinese, english = _HEADS[inputs.status]
    lines = [f"stormcast-tw {inputs.cycle}: {chinese} / {english}"]
    lines += [f"- {line}" for line in (*inputs.missing, *inputs.degraded)]
    return "\n".join([*lines, _WHAT_TO_DO[inputs.status].format(cycle=inputs.cycle)]).rstrip()


def is_news(store: Store, inputs: InputSet, experiment: str) -> bool:
    """Remember how the newest cycle's inputs are served; True if that differs from the previous cycle.

    A missing input is always news, a backfilled cycle never. Kept in a pointer below the work root.
    """
    path = f"inputs/{experiment}/state.json"
    serving = {i.name: i.source for i in inputs.inputs if i.required and i.status == "degraded"}
    seen = store.read_pointer(path)
    before = seen.value or {"cycle": "", "status": "ready", "serving": {}}
    if before["cycle"] and Cycle.parse(before["cycle"]) > Cycle.parse(inputs.cycle):
        return False
    value = {"cycle": inputs.cycle, "status": inputs.status, "serving": serving}
    if value == before:
        return False
    try:
        store.move_pointer(path, seen, value)
    except Conflict:
        return False  # a run at the same moment reports it
    changed = {k: v for k, v in value.items() if k != "cycle"} != {k: v for k, v in before.items() if k != "cycle"}
    return changed or (inputs.status == "missing" and before["cycle"] != inputs.cycle)
