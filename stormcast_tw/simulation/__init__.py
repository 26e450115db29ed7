"""A synthetic Taiwan: weather as a function of (seed, time), and writers for each provider's native format.

Nothing here is real weather; every dataset and every file says SIMULATED.
"""
