"""The notebook of the guide, executed: every cell, smaller than the one that is shown."""

from __future__ import annotations

from pathlib import Path

from docs.execute_notebook import executed
from stormcast_tw.simulation.cycle import simulate_cycle
from tests.conftest import CYCLE


def test_the_notebook_of_the_guide(tmp_path: Path):
    simulate_cycle(CYCLE, str(tmp_path / "var" / "inputs"), lead_hours=2)
    notebook = executed(tmp_path, {'"20260611T06Z", 4, 6': '"20260611T06Z", 2, 2'})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "background: global_ai 20260610T18Z ready" in text
    assert "somewhere in the box" in text
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
