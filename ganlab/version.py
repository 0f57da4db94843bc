"""The version of ganlab. A module of its own, so that nothing inside imports the package's root for it."""

__version__ = "0.1.0"
