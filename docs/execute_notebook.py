"""Execute the notebook of the guide anew, with its pictures: `python docs/execute_notebook.py`, in a checkout.

It simulates the inputs in a temporary folder. tests/test_docs.py executes the same cells, smaller.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from stormcast_tw.cycle import Cycle
from stormcast_tw.simulation.cycle import simulate_cycle

NOTEBOOK = Path(__file__).parent / "guide" / "first_forecast.ipynb"


def executed(folder: Path, replaced: dict[str, str] | None = None) -> nbformat.NotebookNode:
    """Return the notebook, executed in a folder; `replaced` are texts of its code to change first.

    Raises ValueError for a text that is not there, and what nbclient raises for a cell that fails.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for old, new in (replaced or {}).items():
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source]
        if not cells:
            raise ValueError(f"{NOTEBOOK}: has no cell with {old!r}")
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times, which differ at each execution
    return notebook


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        simulate_cycle(Cycle.parse("20260611T06Z"), f"{folder}/var/inputs")
        nbformat.write(executed(Path(folder)), NOTEBOOK)
