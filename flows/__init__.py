"""When things happen: the order of tasks, and nothing else."""
