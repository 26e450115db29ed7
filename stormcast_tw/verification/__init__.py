"""How good are the forecasts? Additive scores, baselines, confidence intervals and the scorecard."""
