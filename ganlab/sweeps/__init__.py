"""Sweeps: many runs of one recipe, with several seeds or over a grid of options, each in a child process."""
