"""What readers see: the published runs of each cycle, and the pointers to the chosen and the latest."""
