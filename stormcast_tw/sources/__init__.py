"""One file a provider: each translates a provider's format into our names, our units and its own grid.

`table` has them all by name; `formats` reads bytes, `translate` converts quantities."""
