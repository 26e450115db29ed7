"""Training datasets, made from an archive of past hours."""
