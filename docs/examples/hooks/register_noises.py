"""Censored normal latents, max(N(0, 1), 0): parts that may be absent (Brock et al. 2018, arXiv:1809.11096, appendix E)."""

import torch

import ganlab


class CensoredNormal:
    """Half of all numbers are 0."""

    def __init__(self, *, dimension: int = 64):
        self.shape = (dimension,)

    def sample(self, count, generator, device, dtype):
        return torch.randn(count, *self.shape, generator=generator, device=device, dtype=dtype).clamp(min=0)


@ganlab.hookimpl
def register_noises(register):
    register("censored_normal", CensoredNormal)
