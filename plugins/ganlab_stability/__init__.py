"""First-party tricks against what makes adversarial training unstable. One idea per file."""

from __future__ import annotations

from ganlab.hookspecs import Register, hookimpl
from ganlab_stability.adaptive import AdaptiveGeneratorSteps
from ganlab_stability.clamp import Clamp
from ganlab_stability.clipping import GradientClipping
from ganlab_stability.head_start import DiscriminatorHeadStart
from ganlab_stability.packing import Packing
from ganlab_stability.r1 import R1Penalty
from ganlab_stability.restore import RestoreOnReadError
from ganlab_stability.smoothing import LabelSmoothing
from ganlab_stability.spectral import SpectralNormalization


@hookimpl
def register_tricks(register: Register) -> None:
    register("adaptive_generator_steps", AdaptiveGeneratorSteps)
    register("clamp", Clamp)
    register("discriminator_head_start", DiscriminatorHeadStart)
    register("gradient_clipping", GradientClipping)
    register("label_smoothing", LabelSmoothing)
    register("packing", Packing)
    register("r1_penalty", R1Penalty)
    register("restore_on_read_error", RestoreOnReadError)
    register("spectral_normalization", SpectralNormalization)
