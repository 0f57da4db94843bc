"""First-party metrics: how good samples are, and what they lack."""

from __future__ import annotations

import ganlab
from ganlab.hookspecs import Register
from ganlab_metrics.frechet import FrechetDistance
from ganlab_metrics.histogram import ClassHistogram
from ganlab_metrics.kernel import KernelDistance
from ganlab_metrics.memorisation import Memorisation
from ganlab_metrics.modes import Modes
from ganlab_metrics.neighbours import Neighbours
from ganlab_metrics.score import ClassifierScore


@ganlab.hookimpl
def register_metrics(register: Register) -> None:
    register("modes", Modes)
    register("frechet_distance", FrechetDistance)
    register("kernel_distance", KernelDistance)
    register("neighbours", Neighbours)
    register("classifier_score", ClassifierScore)
    register("class_histogram", ClassHistogram)
    register("memorisation", Memorisation)
