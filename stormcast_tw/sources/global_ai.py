"""A global AI model initialised from the ECMWF analysis: `EC-pangu` GRIB files every six hours."""

from datetime import datetime


def address(root: str, init_time: datetime, lead_hours: int) -> str:
    """Return where the forecast of `init_time` at `lead_hours` is kept."""
    return f"{root}/{init_time:%Y%m%d%H}/EC-pangu_{init_time:%Y%m%d%H}-{lead_hours}.grb"
