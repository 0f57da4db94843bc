"""The trick ``health``: watches a run and warns when training goes wrong. It never changes or fails a run."""

from __future__ import annotations

from ganlab.hookspecs import Register, hookimpl
from ganlab_health.watch import Health


@hookimpl
def register_tricks(register: Register) -> None:
    register("health", Health)
