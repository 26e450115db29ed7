"""Taiwan, as the disaster-prevention centre forecasts it."""

from stormcast_tw.regions.region import Region
from stormcast_tw.regions.taiwan.clock import TAIPEI
from stormcast_tw.regions.taiwan.criteria import CRITERIA
from stormcast_tw.regions.taiwan.grid import TAIWAN_2KM, TAIWAN_25KM
from stormcast_tw.regions.taiwan.input_limits import INPUT_LIMITS
from stormcast_tw.regions.taiwan.thresholds import HAZARDS
from stormcast_tw.regions.taiwan.zones import ZONES

TAIWAN = Region(
    name="taiwan",
    grid=TAIWAN_2KM,
    clock=TAIPEI,
    hazards=HAZARDS,
    criteria=CRITERIA,
    compared_at=TAIWAN_25KM,
    input_limits=INPUT_LIMITS,
    zones=ZONES,
)
