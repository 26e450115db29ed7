"""The forecast itself: the rollout, the child process it runs in, and its reproduction."""
