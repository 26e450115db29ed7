"""What is true of one place: its grid, its clock, its warning thresholds. A region is a folder; `HOME` is ours."""

from stormcast_tw.regions.taiwan import TAIWAN

HOME = TAIWAN
"""The region that this installation forecasts."""
