"""What every source reads of its files: a table in Markdown, from the rows of the contract test.

.venv/bin/python soak/bytes_read.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stormcast_tw.sources.isolated import read_isolated
from stormcast_tw.storage.provider_files import Folder
from stormcast_tw.variables import variable_set
from tests.sources.test_contract import ROWS, put


def main() -> None:
    """Write the files of each row, read them, and print requested, read, index and all bytes."""
    print("| source | in all | requested | read | excess | index |")
    print("|---|---|---|---|---|---|")
    for name, row in ROWS.items():
        with tempfile.TemporaryDirectory() as folder:
            files = row.files()
            put(folder, files)
            source = row.source(Folder(folder))
            asked = row.valid_times, variable_set("asked", *row.ids), row.init_time
            used = read_isolated(source, source.find(*asked)).used
        read, requested = sum(u.bytes_used for u in used), row.requested(files)
        index, everything = sum(u.bytes_of_index for u in used), sum(map(len, files.values()))
        print(f"| {name} | {everything:,} | {requested:,} | {read:,} | {read / requested - 1:.2%} | {index:,} |")


if __name__ == "__main__":
    main()
