"""The announcement of a plugin file before its code runs."""

from __future__ import annotations

from collections.abc import Callable

from ganlab.recipe import PluginFile


def announce_plugin_files(tell: Callable[[str], None]) -> Callable[[PluginFile], None]:
    """Return a function that announces a plugin file through ``tell``. The catalogue calls it before it runs the file's code."""
    return lambda file: tell(f"Running the plugin file {file.path} (sha256 {file.sha256}).")
