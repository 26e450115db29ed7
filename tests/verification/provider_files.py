"""What providers will have delivered when a cycle's truth is complete: RWRP analyses and QPESUMS, simulated."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stormcast_tw.cycle import Cycle, hours
from stormcast_tw.simulation.files import qpesums, rwrp
from stormcast_tw.simulation.world.weather import World
from stormcast_tw.sources.base import Source
from stormcast_tw.sources.qpesums import Qpesums
from stormcast_tw.sources.qpesums import path as qpesums_path
from stormcast_tw.sources.rwrp import RwrpRain, RwrpState
from stormcast_tw.sources.rwrp import path as rwrp_path
from stormcast_tw.storage.provider_files import Folder


def sources(root: Path) -> dict[str, Source]:
    state, rain = Folder(str(root / "rwrp")), Folder(str(root / "qpesums"))
    return {"rwrp": RwrpState(state), "rwrp_rain": RwrpRain(state), "qpesums": Qpesums(rain)}


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def analysis(root: Path, world: World, cycle: Cycle, lead: int, age: int = 0) -> Path:
    """Write the RWRP state valid at a lead of the cycle, from the run `age` hours before."""
    valid_time = cycle.valid_time(lead)
    run = valid_time - hours(age)
    return write(root / "rwrp" / rwrp_path(run, valid_time), rwrp.encode(world, run, age))


def observed(root: Path, world: World, cycle: Cycle, lead: int) -> Path:
    valid_time = cycle.valid_time(lead)
    return write(root / "qpesums" / qpesums_path(valid_time), qpesums.encode(world, valid_time))


def deliver(root: Path, world: World, cycle: Cycle, leads: Iterable[int]) -> None:
    for lead in leads:
        analysis(root, world, cycle, lead)
        observed(root, world, cycle, lead)
