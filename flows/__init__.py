"""When things happen: the order of tasks, nothing else."""
