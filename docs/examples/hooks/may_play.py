"""D waits for two steps out of three: the simplest cure where D learns so fast that it has nothing left to teach."""

import ganlab


class SlowDiscriminator:
    """G plays in each step, D in steps 1, 4, 7, ... None agrees; only False is a veto."""

    @ganlab.hookimpl
    def may_play(self, turn):
        if turn.role == "discriminator":
            return turn.step % 3 == 1
