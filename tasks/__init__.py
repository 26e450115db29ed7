"""How things run: one call of the core each, with retries, timeouts, events and the Prefect page."""
