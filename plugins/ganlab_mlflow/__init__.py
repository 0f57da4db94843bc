"""The tracker ``mlflow``: a mirror of the run's folder in MLflow, made by a process of its own.

The folder is the truth. The training process only starts the mirror (:mod:`ganlab_mlflow.helper`) and never imports MLflow; the
mirror (:mod:`ganlab_mlflow.process`, :mod:`ganlab_mlflow.mirror`) follows the files that the run writes and sends what is new. A
thread would hold the interpreter for the seconds that MLflow's import and the first use of a store take; a process of low priority
takes what the training leaves. ``ganlab sync RUN`` sends a run later.
"""

from __future__ import annotations

from ganlab.hookspecs import Register, hookimpl


@hookimpl
def register_tricks(register: Register) -> None:
    from ganlab_mlflow.tracker import MlflowTracker

    register("mlflow", MlflowTracker)
