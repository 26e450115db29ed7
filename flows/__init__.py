"""When things happen: the order of tasks, and nothing else."""

from stormcast_tw.operations.logs import mask_every_record

if __name__ != "stormcast_tw.flows":
    raise ImportError(f"{__name__} is imported as stormcast_tw.flows only, so that no module is loaded twice")

mask_every_record()  # here, because every flow passes here, from the command line and in a worker
