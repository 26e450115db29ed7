"""How things run: each task is one call of the core, with retries, timeouts, events and the Prefect page."""

if __name__ != "stormcast_tw.tasks":
    raise ImportError(f"{__name__} is imported as stormcast_tw.tasks only, so that no module is loaded twice")
