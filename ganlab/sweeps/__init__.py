"""Many runs: seeds, a grid of options, and the processes that carry them out. Imports no torch."""
