"""How large the weights of each layer are at the end: a table in the run's folder, beside its other files."""

import ganlab


class WeightNorms:
    """Writes weights.txt: a line for each parameter, with its norm."""

    @ganlab.hookimpl
    def after_run(self, run):
        lines = [
            f"{role} {name} {parameter.norm().item():.4f}"
            for role, player in run.players.items()
            for name, parameter in player.network.named_parameters()
        ]
        (run.path / "weights.txt").write_text("\n".join(lines) + "\n")
