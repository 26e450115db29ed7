"""What is compared: the truth, the forecast, and the baselines it has to beat."""
