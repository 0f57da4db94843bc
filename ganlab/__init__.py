"""ganlab: run, compare and understand adversarial training.

The public names for plugin authors and scripts. torch is imported only when a name that needs it is used.

Also public: ``ganlab.child_process``, ``ganlab.commands``, ``ganlab.components``, ``ganlab.errors``, ``ganlab.evaluation``,
``ganlab.hookspecs``, ``ganlab.pictures``, ``ganlab.recipe``, ``ganlab.redaction``, ``ganlab.tensors`` and ``ganlab.testing``. Everything
else may change from one version to the next. ganlab's own plugins do not use it, and a test checks that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ganlab.version import __version__

if TYPE_CHECKING:
    from ganlab.components import Batch as Batch
    from ganlab.components import Dataset as Dataset
    from ganlab.components import DatasetSpec as DatasetSpec
    from ganlab.components import Loss as Loss
    from ganlab.components import NetworkSpec as NetworkSpec
    from ganlab.components import Noise as Noise
    from ganlab.components import ResidentDataset as ResidentDataset
    from ganlab.errors import DataUnavailable as DataUnavailable
    from ganlab.errors import GanlabError as GanlabError
    from ganlab.errors import UsageError as UsageError
    from ganlab.game.player import Player as Player
    from ganlab.game.turn import Group as Group
    from ganlab.game.turn import Part as Part
    from ganlab.game.turn import Turn as Turn
    from ganlab.generators.loaded import load_generator as load_generator
    from ganlab.hookspecs import hookimpl as hookimpl
    from ganlab.records.trust import is_own_run as is_own_run
    from ganlab.runs.run import Run as Run
    from ganlab.script import FinishedRun as FinishedRun
    from ganlab.script import resume as resume
    from ganlab.script import run as run


_HOMES = {
    "Batch": "ganlab.components",
    "Dataset": "ganlab.components",
    "DatasetSpec": "ganlab.components",
    "DataUnavailable": "ganlab.errors",
    "GanlabError": "ganlab.errors",
    "Group": "ganlab.game.turn",
    "Loss": "ganlab.components",
    "NetworkSpec": "ganlab.components",
    "Noise": "ganlab.components",
    "Part": "ganlab.game.turn",
    "Player": "ganlab.game.player",
    "ResidentDataset": "ganlab.components",
    "Run": "ganlab.runs.run",
    "Turn": "ganlab.game.turn",
    "UsageError": "ganlab.errors",
    "hookimpl": "ganlab.hookspecs",
    "is_own_run": "ganlab.records.trust",
    "load_generator": "ganlab.generators.loaded",
    "FinishedRun": "ganlab.script",
    "resume": "ganlab.script",
    "run": "ganlab.script",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ganlab' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
