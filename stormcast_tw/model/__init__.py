"""The two-stage model: networks, samplers, noise, one step in physical units, and the package that holds it."""
