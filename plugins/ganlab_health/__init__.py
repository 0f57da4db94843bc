"""The trick ``health``: watches a run, and says what is wrong with it before a night is lost. It never changes or fails one."""

from __future__ import annotations

from ganlab.hookspecs import Register, hookimpl
from ganlab_health.watch import Health


@hookimpl
def register_tricks(register: Register) -> None:
    register("health", Health)
