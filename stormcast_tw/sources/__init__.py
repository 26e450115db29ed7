"""One file a provider: each translates a provider's format into our names, our units and its own grid."""
