"""A trained generator without its run: load it, sample from it, export it."""
