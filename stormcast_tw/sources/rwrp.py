"""RWRP, the radar-assimilating WRF: raw `wrfout_d02` files on WRF's own projected grid."""

from datetime import datetime


def address(root: str, init_time: datetime, valid_time: datetime) -> str:
    """Return where the run of `init_time` keeps its output for `valid_time`."""
    return f"{root}/{init_time:%Y%m%d%H}/wrfout_d02_{valid_time:%Y-%m-%d_%H:%M:%S}"
