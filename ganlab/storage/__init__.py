"""Bytes on disk: atomic writes, the one-file checkpoint, output files of commands. This module imports nothing."""
