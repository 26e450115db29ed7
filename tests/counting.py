"""What processes do to one pointer at once; imports little, so that they start quickly."""

from stormcast_tw.errors import Conflict
from stormcast_tw.storage.store import Store


def count_up(root: str, times: int) -> None:
    """Add 1 to the number in count.json, `times` times, trying again whenever somebody else was first."""
    store = Store(root)
    for _ in range(times):
        while True:
            seen = store.read_pointer("count.json")
            try:
                store.move_pointer("count.json", seen, {"n": (seen.value or {"n": 0})["n"] + 1})
            except Conflict:
                continue
            break
