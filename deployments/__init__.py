"""What a Prefect server needs to know of this project: pool, queues, deployments, alarms."""

if __name__ != "stormcast_tw.deployments":
    raise ImportError(f"{__name__} is imported as stormcast_tw.deployments only, so that no module is loaded twice")
