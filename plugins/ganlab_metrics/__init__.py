"""First-party metrics: how good samples are, and what they lack."""

from __future__ import annotations

import ganlab
from ganlab.hookspecs import Register
from ganlab_metrics.modes import Modes


@ganlab.hookimpl
def register_metrics(register: Register) -> None:
    register("modes", Modes)
