"""QPESUMS: radar-and-gauge rain of the past hour, binary `.gz`."""

from datetime import datetime


def address(root: str, valid_time: datetime) -> str:
    """Return where the rain of the hour ending at `valid_time` is kept."""
    return f"{root}/{valid_time:%Y%m%d}/CB_GC_PCP_1H_RAD.{valid_time:%Y%m%d.%H%M}.gz"
