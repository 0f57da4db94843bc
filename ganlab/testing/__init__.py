"""Test helpers for plugin authors: run a trick for a few steps, record hook calls, and check the rules for plugins.

>>> from ganlab.testing import play
>>> run = play(steps=2)
>>> run.counters["generator_updates"]
2

:func:`play` trains a tiny problem on the CPU, in less than a second; :class:`Recorder` records the hooks that are called;
:func:`conform` checks a component or trick against every rule that ganlab's own plugins follow.
"""

from __future__ import annotations

from ganlab.testing.conformance import conform
from ganlab.testing.rules import RULES
from ganlab.testing.subject import BrokenRule
from ganlab.testing.tiny import (
    TINY,
    Recorder,
    TinyLoss,
    TinyNetwork,
    TinyNoise,
    TinyPlugin,
    catalogue,
    play,
    prepare,
    tiny_data,
    tiny_optimizer,
)  # fmt: skip

__all__ = [
    "RULES", "TINY", "BrokenRule", "Recorder", "TinyLoss", "TinyNetwork", "TinyNoise", "TinyPlugin", "catalogue", "conform", "play",
    "prepare", "tiny_data", "tiny_optimizer",
]  # fmt: skip
