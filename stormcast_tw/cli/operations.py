"""Verbs for daily work: forecast, look at inputs, backfill, list, reproduce, check the machine."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stormcast_tw.cli.options import (
    DEMO_CYCLE,
    BaseSeed,
    BegunCycle,
    CycleOption,
    CycleToRead,
    End,
    Experiment,
    Json,
    LeadHours,
    Members,
    Start,
    require_span,
    run_to_read,
)
from stormcast_tw.cli.shown import cycle_here, input_lines, print_result, print_table

if TYPE_CHECKING:
    from stormcast_tw.operations.doctor import Diagnosis

SECONDS_BETWEEN_LOOKS = 30


def forecast(
    cycle: BegunCycle = DEMO_CYCLE,
    experiment: Experiment = "demo",
    lead_hours: LeadHours = 12,
    members: Members = None,
    seed: BaseSeed = 0,
    wait: Annotated[
        bool, typer.Option(help="Wait until all inputs are ready, at most until three hours after init.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Forecast one cycle and publish the result. Exit code 3 if its inputs were degraded."""
    _require_servable(cycle, experiment, lead_hours)
    from stormcast_tw.flows.operations import operations
    from stormcast_tw.publication.catalogue import Published
    from stormcast_tw.schema import labels

    artifact = operations(
        cycle=cycle, experiment=experiment, lead_hours=lead_hours, members=members, base_seed=seed, wait=wait
    )
    words = labels(simulated=artifact.simulated, trained=artifact.trained)
    lines = [
        f"{words}forecast of {cycle_here(cycle)}, run {artifact.address.run}, is published at",
        f"  {artifact.uri}",
        *_next_steps(artifact.uri),
    ]
    published = Published.of(artifact)
    served = [row for row in published.inputs if row["status"] == "degraded"]
    lines[2:2] = [f"  DEGRADED: {row['input']}: {row['remark']}" for row in served]
    print_result("\n".join(lines), artifact.model_dump(mode="json") | {"uri": artifact.uri}, as_json)
    if published.status == "degraded":
        raise typer.Exit(3)


def _next_steps(uri: str) -> list[str]:
    """Return what to do next, in words that work from here: in a checkout, or where a wheel is installed."""
    binaries, here = Path(sys.executable).parent, Path.cwd()
    path = f"{binaries.relative_to(here)}/" if binaries.is_relative_to(here) else ""
    steps = [
        "Next steps:",
        f"  {path}python -c \"import xarray; print(xarray.open_dataset('{uri}/products.zarr'))\"",
        f"  {path}stormcast-tw hazards           show which criteria are reached where, how likely, when",
        f"  {path}stormcast-tw at 花蓮縣         show what is forecast for a place",
        f"  {path}stormcast-tw page serve        show it as a web page",
        f"  {path}stormcast-tw package show      show what the model is",
        f"  {path}stormcast-tw doctor            check whether this machine is fit to forecast",
    ]
    page = "  make serve                               open the Prefect page with the log of this run"
    return [*steps, page] if Path("Makefile").exists() else steps


def _require_servable(cycle: str, experiment: str, lead_hours: int) -> None:
    """Raise Refused for what no forecast may be made of, and prepare Prefect's home: all before Prefect is imported."""
    from stormcast_tw.cycle import Cycle
    from stormcast_tw.inputs.request import Request
    from stormcast_tw.model.description import describe
    from stormcast_tw.settings import settings

    package = settings().package
    Request(Cycle.parse(cycle), lead_hours, experiment, package, describe(package), datetime.now(UTC))
    settings().use_prefect_home()


def inputs(
    cycle: CycleOption,
    lead_hours: LeadHours = 12,
    follow: Annotated[bool, typer.Option("--follow", help="Look again every 30 s until all inputs are ready.")] = False,
    as_json: Json = False,
) -> None:
    """Show what serves each input of a cycle now, and why; fetch nothing. Exit code 0 ready, 3 degraded, 4 missing."""
    from rich.console import Console

    from stormcast_tw.cycle import Cycle
    from stormcast_tw.inputs.readiness import look
    from stormcast_tw.inputs.request import need_of
    from stormcast_tw.model.description import read_description
    from stormcast_tw.settings import settings
    from stormcast_tw.sources.table import all_sources

    package = read_description(settings().package)
    sources = all_sources(settings(), package.grid)
    need = need_of(Cycle.parse(cycle), lead_hours, settings().package, package)
    while True:
        input_set = look(need, sources)
        text = "" if as_json else "\n".join(input_lines(input_set, Console().width, settings().inputs_root))
        print_result(text, {"cycle": cycle, "status": input_set.status, "inputs": input_set.table()}, as_json)
        if not follow or input_set.status == "ready":
            break
        time.sleep(SECONDS_BETWEEN_LOOKS)
    raise typer.Exit({"ready": 0, "degraded": 3, "missing": 4}[input_set.status])


def backfill(
    start: Start,
    end: End,
    experiment: Experiment = "demo",
    lead_hours: LeadHours = 12,
    members: Members = None,
    seed: BaseSeed = 0,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Start with the newest cycle.")] = False,
    parallel: Annotated[int, typer.Option(min=1, max=16, help="Number of cycles to run at the same time.")] = 1,
    as_json: Json = False,
) -> None:
    """Forecast and publish a range of past cycles, skipping published ones. Run it again after a failure."""
    require_span(start, end)
    _require_servable(end, experiment, lead_hours)
    from stormcast_tw.flows.backfill import backfill as run

    outcomes = run(
        start=start,
        end=end,
        experiment=experiment,
        lead_hours=lead_hours,
        members=members,
        base_seed=seed,
        order="newest first" if newest_first else "oldest first",
        parallel=parallel,
    )
    text = "\n".join(f"{cycle_here(o.cycle)}  {o.outcome:9}  {o.text}" for o in outcomes)
    print_result(text, [o.model_dump() for o in outcomes], as_json)


def reproduce(
    manifest: Annotated[str, typer.Argument(help="manifest.json of a published run, or its folder.")],
    as_json: Json = False,
) -> None:
    """Run the plan of a published forecast again and compare every value; exit code 1 if the result is different."""
    from stormcast_tw.forecast.reproduce import read_manifest
    from stormcast_tw.forecast.reproduce import reproduce as compare
    from stormcast_tw.settings import settings

    published = read_manifest(manifest)
    with tempfile.TemporaryDirectory(prefix="stormcast-tw-") as scratch:
        result = compare(published, settings(), Path(scratch), datetime.now(UTC), lambda _: None)
    print_result(result.text, result.model_dump(mode="json"), as_json)
    if result.verdict == "different":
        raise typer.Exit(1)


def doctor(as_json: Json = False) -> None:
    """Check whether this machine is fit to forecast; exit code 1 if any check fails."""
    from stormcast_tw.operations.doctor import examine
    from stormcast_tw.settings import settings

    findings = examine(settings())
    if as_json:
        print_result("", [vars(finding) for finding in findings], True)
    else:
        print_table(("", "check", "found"), (_found(finding) for finding in findings))
    if not all(finding.fine for finding in findings):
        raise typer.Exit(1)


def _found(finding: Diagnosis) -> tuple[str, str, str]:
    cure = f"\nWhat to do: {finding.cure}." if finding.cure else ""
    return "ok" if finding.fine else "NOT OK", finding.check, finding.found + cure


def export(
    names: Annotated[
        list[str] | None, typer.Argument(help="Formats, e.g. netcdf_members grib; default: the usual.")
    ] = None,
    experiment: Experiment = "demo",
    cycle: CycleToRead = None,
) -> None:
    """Make a published run into other formats: grib, cog, csv, cap, stac, grib_members, netcdf_members."""
    from stormcast_tw.publication.exporting import export_run

    store, run = run_to_read(experiment, cycle)
    made = export_run(store, run, datetime.now(UTC), names or None)
    typer.echo(f"{made.uri}: {len(store.below(made.address)) - 2} files")
