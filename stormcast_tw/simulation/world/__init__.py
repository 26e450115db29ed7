"""The simulated weather over Taiwan, as a function of seed and time."""
