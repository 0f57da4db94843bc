"""The tracker ``mlflow``: a child process mirrors the run's folder in MLflow. Also the command ``ganlab ui``.

The folder is the source of truth. The training process only starts the mirror (:mod:`ganlab_mlflow.helper`) and never imports MLflow.
The mirror (:mod:`ganlab_mlflow.process`, :mod:`ganlab_mlflow.mirror`) follows the files that the run writes and sends what is new. A
thread would block the interpreter for the seconds that MLflow's import and the first use of a store take. A process of low priority
uses the time that the training leaves. ``ganlab sync RUN`` sends a run later.
"""

from __future__ import annotations

from ganlab.hookspecs import Register, hookimpl


@hookimpl
def register_tricks(register: Register) -> None:
    from ganlab_mlflow.tracker import MlflowTracker

    register("mlflow", MlflowTracker)
