"""The hinge loss (Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957)."""

from torch.nn.functional import relu

import ganlab


class Hinge:
    """Push real scores above 1 and fake scores below -1, and no further."""

    def real(self, turn):
        return relu(1 - turn.real_scores).mean()

    def fake(self, turn):
        return relu(1 + turn.fake_scores).mean()

    def generator(self, turn):
        return -turn.fake_scores.mean()


@ganlab.hookimpl
def register_losses(register):
    register("hinge", Hinge)
