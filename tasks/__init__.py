"""How things run: each task is one call of the core, with retries, timeouts, events and the Prefect page."""
