"""When things happen: the order of tasks, and nothing else."""

if __name__ != "stormcast_tw.flows":
    raise ImportError(f"{__name__} is imported as stormcast_tw.flows only, so that no module is loaded twice")
