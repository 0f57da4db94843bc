"""Faster execution of the same game: compiled networks, CUDA graphs, settings of the process.

Without this package, every recipe that does not ask for it trains to the same bits.
"""
