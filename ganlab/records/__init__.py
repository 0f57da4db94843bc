"""Runs on disk: the run folder, run.json, metrics and results, and the checks before a folder is trusted. Imports no torch."""
