"""The published schedule of WGAN: D plays five times for each G, a hundred times at first and now and then (arXiv:1701.07875)."""

import ganlab

D, G = ganlab.Part("discriminator", ("real", "fake")), ganlab.Part("generator", ("fake",))


class CriticFirst:
    """Keep the critic near its optimum, each time on new real data."""

    @ganlab.hookimpl
    def plan_step(self, step):
        return [[D]] * (100 if step <= 25 or step % 500 == 0 else 5) + [[G]]
