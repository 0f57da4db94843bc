"""The same game sooner: compiled networks, CUDA graphs, settings of the process.

Without this room every recipe that does not ask for it trains to the same bits.
"""
