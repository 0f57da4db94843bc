"""Say before the first step when the game is uneven: a player with ten times the weights of the other tends to win."""

import ganlab


class EvenMatch:
    """Announce both sizes where they are far apart; they stand in run.json too."""

    @ganlab.hookimpl
    def before_run(self, run):
        sizes = {role: sum(p.numel() for p in player.parameters) for role, player in run.players.items()}
        if max(sizes.values()) > 10 * min(sizes.values()):
            run.announce(f"An uneven game: the generator has {sizes['generator']:,} weights, D {sizes['discriminator']:,}.")
