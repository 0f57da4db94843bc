"""Mode seeking: latents that lie far apart shall make samples that lie far apart (Mao et al. 2019, arXiv:1903.05628)."""

import ganlab


class ModeSeeking:
    """A term of G's loss, logged as loss/generator.mode_seeking: distance of latents by distance of samples, in pairs."""

    @ganlab.hookimpl
    def loss_terms(self, turn):
        if turn.role == "generator":
            (z, other_z), (x, other_x) = turn.latent.chunk(2), turn.fake.chunk(2)  # (batch / 2, ...) each
            distance, spread = ((a - b).abs().flatten(1).mean(1) for a, b in ((z, other_z), (x, other_x)))
            turn.loss_terms["mode_seeking"] = (distance / (spread + 1e-5)).mean()
