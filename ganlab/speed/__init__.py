"""Faster execution of the same game: compiled networks and CUDA graphs.

Without this package, every recipe that does not ask for it trains to the same bits.
"""
