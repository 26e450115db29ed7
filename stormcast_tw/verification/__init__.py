"""How good are the forecasts? Additive scores, baselines, confidence intervals and the scorecard."""

from typing import Literal

TruthKind = Literal["simulated", "operational"]
"""The simulated weather itself, or what a weather service would see: analyses and radar rain."""
