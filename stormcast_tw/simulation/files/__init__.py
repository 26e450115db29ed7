"""Writers of the simulated weather in the native format of each provider."""
