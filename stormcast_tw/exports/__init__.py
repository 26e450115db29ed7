"""Products in the file formats of other communities."""
