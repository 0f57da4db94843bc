"""G plays twice for each D, with fresh noise: how the first DCGAN in TensorFlow kept D's loss from going to zero (Kim 2016)."""

import ganlab


class TwiceTheGenerator:
    """``turn.repeat`` is 0 at first, so that one repeat is asked for."""

    @ganlab.hookimpl
    def play_again(self, turn):
        return turn.role == "generator" and turn.repeat == 0
