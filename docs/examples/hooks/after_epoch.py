"""Stop when D has won: after an epoch in which it was right 99 times of 100, there is nothing left for G to learn."""

import ganlab


class StopWhenWon:
    """The run finishes early: its samples are measured, and its generator is saved."""

    @ganlab.hookimpl
    def after_epoch(self, run, epoch, means):
        if min(means["accuracy/real"], means["accuracy/fake"]) > 0.99:
            run.announce(f"D has won in epoch {epoch}: the run stops.")
            run.stopping = True
