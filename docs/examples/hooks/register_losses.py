"""Least squares: the discriminator is drawn to 1 and 0, the generator to 1 (Mao et al. 2016, arXiv:1611.04076)."""

import ganlab


class LeastSquares:
    """A gradient that does not vanish where the discriminator is sure of itself."""

    def real(self, turn):
        return (turn.real_scores - 1).square().mean()

    def fake(self, turn):
        return turn.fake_scores.square().mean()

    def generator(self, turn):
        return (turn.fake_scores - 1).square().mean()


@ganlab.hookimpl
def register_losses(register):
    register("least_squares", LeastSquares)
