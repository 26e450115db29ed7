"""Names for the weather regime of an hour."""

from __future__ import annotations

import numpy as np

from stormcast_tw.simulation.world.diurnal import heating
from stormcast_tw.simulation.world.synoptic import Synopsis, add_features, smooth_fields

REGIMES = (
    "typhoon",
    "typhoon_periphery",
    "meiyu_front",
    "cold_surge",
    "northeast_monsoon",
    "thunderstorms",
    "quiet",
)


def regime(state: Synopsis) -> str:
    """Return the regime of a large-scale state: the first of REGIMES that applies over the centre of Taiwan."""
    distance = min((np.hypot(t.east_km, t.north_km) for t in state.typhoons if t.vmax > 17.0), default=np.inf)
    if distance < 600.0:
        return "typhoon" if distance < 260.0 else "typhoon_periphery"
    if any(f.kind == "meiyu" and abs(f.north_km) < 260.0 and f.lift > 0.4 for f in state.fronts):
        return "meiyu_front"
    if any(f.kind == "cold" and -900.0 < f.north_km < 250.0 and f.cooling > 2.0 for f in state.fronts):
        return "cold_surge"
    return _without_events(state)


def _without_events(state: Synopsis) -> str:
    here = add_features(state, smooth_fields(state, [0.0], [0.0]), np.zeros(1), np.zeros(1))
    if here.v[0] < -5.0 and here.u[0] < 0.5:
        return "northeast_monsoon"
    ready = 0.55 + 0.55 * state.index["instability"] + 0.35 * state.index["moisture"]
    if state.summer > 0.0 and ready > 0.4 and heating(state.hour) > 0.3:
        return "thunderstorms"
    return "quiet"
