"""The verb that writes simulated inputs."""

from __future__ import annotations

from stormcast_tw.cli.options import DEMO_CYCLE, CycleOption, Json, LeadHours, WorldSeed
from stormcast_tw.cli.shown import cycle_here, print_result


def simulate(
    cycle: CycleOption = DEMO_CYCLE,
    lead_hours: LeadHours = 12,
    *,
    seed: WorldSeed,
    as_json: Json = False,
) -> None:
    """Write the SIMULATED provider files of a cycle, in the providers' own formats, below the inputs root."""
    from rich.console import Console
    from rich.progress import Progress

    from stormcast_tw.cycle import Cycle
    from stormcast_tw.settings import settings
    from stormcast_tw.simulation.cycle import files_of_cycle, simulate_cycle

    root, chosen, terminal = settings().inputs_root, Cycle.parse(cycle), Console(stderr=True)
    total = sum(1 for _ in files_of_cycle(chosen, seed, lead_hours))
    with Progress(console=terminal, disable=not terminal.is_terminal) as bar:
        task = bar.add_task(f"simulating {cycle}", total=total)
        written = simulate_cycle(chosen, root, seed, lead_hours, lambda _path: bar.advance(task))
    text = f"SIMULATED inputs of {cycle_here(cycle)}: {len(written)} files below {root}"
    print_result(text, {"cycle": cycle, "root": root, "written": written, "simulated": True}, as_json)
