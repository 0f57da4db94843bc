"""A learning rate that falls to zero with the budget, for both players: late steps settle what early steps have found."""

import ganlab


class LinearDecay:
    """The first rate is kept in the optimizer's own state, so that a resumed run goes on where it was."""

    @ganlab.hookimpl
    def after_step(self, run, step):
        for player in run.players.values():
            for group in player.optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * (1 - step / run.total_steps)
