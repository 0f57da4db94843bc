"""Bytes on disk: atomic files, the one-file checkpoint, files that a person asks for. This module imports nothing."""
