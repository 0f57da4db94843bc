"""How fast is ganlab beside the tutorials' own loops, other libraries and the arithmetic? ``python benchmarks/speed.py --write``.

Each contestant is a process of its own; every round has all of them, in another order. Steps per second are of the training alone:
what comes before the first step (imports, data) is in no figure, nor are ganlab's evaluations, which are switched off here. ganlab
draws its live display on a terminal, sends its metrics to MLflow and has all its default tricks.

With ``--device cuda`` the tutorial's loop and ganlab train on a GPU, and ganlab's options for one are contestants of their own.

Figures count only on a machine with nothing else to do; the tables say when it had.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from support.contestants import CONTESTANTS
from support.losses import check
from support.report import add_options, circumstances, deliver, expect, tell
from support.rounds import race
from support.setting import CannotSettle, Setting, settle
from support.tables import speed_table

RECIPES = ("mnist_mlp", "mnist_adaptive", "mnist_large_batch", "mnist_keras_batchnorm")
LOSS_STEPS = {"mnist_large_batch": 40}  # a step of 6,000 images takes the tutorial's loop a second


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    keys = [one.key for one in CONTESTANTS]
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES, metavar="RECIPE", help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], metavar="N", help="(default: 1 2)")
    parser.add_argument("--contestants", nargs="+", default=keys, choices=keys, metavar="KEY", help=f"of {', '.join(keys)}")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=8.0, help="that each measurement should take (default: 8)")
    length.add_argument("--steps", type=int, help="of each measurement, in place of --seconds")
    parser.add_argument("--loss-steps", type=int, help="steps for the comparison of losses; 0 for none (default: 600, with B = 6000 40)")
    parser.add_argument("--seeds", type=int, default=5, help="of the comparison of losses (default: 5)")
    parser.add_argument("--device", default="cpu", help="where all train: cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument(
        "--beside", default="", metavar="NAME", help="with --write: into the page's place for this machine, beside another's"
    )
    add_options(parser)
    return parser.parse_args(words)


def measured(setting: Setting, options: argparse.Namespace, folder: Path) -> list[str]:
    """The tables of one recipe: of speed for each number of threads, and of losses."""
    chosen = [one for one in CONTESTANTS if one.key in options.contestants]
    length = {"steps": options.steps} if options.steps else {"seconds": options.seconds}
    lines: list[str] = []
    for threads in options.threads:
        tell(f"{setting.recipe}, {threads} thread{'s' * (threads > 1)}")
        found = race(setting.with_(threads=threads), chosen, options.rounds, folder, policy=options.policy, tell=tell, **length)
        lines += [f"### `{Path(setting.recipe).stem}`, {threads} thread{'s' * (threads > 1)}", "", *speed_table(found), ""]
    steps = LOSS_STEPS.get(setting.recipe, 600) if options.loss_steps is None else options.loss_steps
    if steps:
        lines += check(found, steps, range(1, options.seeds + 1), folder, options.policy, tell)
    return lines


def main(words: list[str] | None = None) -> None:
    options = arguments(words)
    about = [*circumstances(options, options.device), f"Medians of {options.rounds} rounds."]
    for recipe in options.recipes:
        try:
            setting = settle(recipe, options.set, options.data_root).with_(device=options.device)
        except CannotSettle as error:
            sys.exit(f"{recipe} cannot be measured: {error}")
        place = f"speed {recipe}{' on a GPU' * setting.on_gpu}{f' ({options.beside})' * bool(options.beside)}"
        expect(place, options)
        with tempfile.TemporaryDirectory(prefix="ganlab-speed-") as folder:
            lines = [*about, "", *measured(setting, options, Path(folder))]
        deliver(place, lines, options)


if __name__ == "__main__":
    main()
