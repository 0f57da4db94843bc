"""A run on disk: its folder, run.json, metrics and results, and what somebody else's folder may not do. Imports no torch."""
