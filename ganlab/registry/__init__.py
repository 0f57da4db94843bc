"""The registry of plugins: the catalogue, options read from signatures, checks of hook implementations."""
