"""How fast is ganlab beside the tutorials' own loops, other libraries and the arithmetic? ``python benchmarks/speed.py --write``.

Each contestant is a process of its own; every round has all of them, in another order. Steps per second are of the training alone:
what comes before the first step (imports, data) is in no figure, nor are ganlab's evaluations, which are switched off here. ganlab
draws its live display on a terminal, sends its metrics to MLflow and has all its default tricks.

Figures count only on a machine with nothing else to do; the tables say when it had.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from support.busy import load_average, load_complaint
from support.contestants import CONTESTANTS
from support.losses import check
from support.machine import described
from support.page import PAGE, NoPlace, write
from support.rounds import race
from support.setting import CannotSettle, Setting, settle
from support.tables import speed_table

RECIPES = ("mnist_mlp", "mnist_adaptive", "mnist_large_batch", "mnist_keras_batchnorm")
LOSS_STEPS = {"mnist_large_batch": 40}  # a step of 6,000 images takes the tutorial's loop a second
POLICIES = {
    "passive": "Threads that wait sleep (OMP_WAIT_POLICY=PASSIVE for all)",
    "active": "Threads that wait spin (OMP_WAIT_POLICY=ACTIVE for all)",
    "own": "Threads wait as each contestant lets them when OMP_WAIT_POLICY is not set (PASSIVE in ganlab, OpenMP's default elsewhere)",
}


def tell(text: str) -> None:
    """Say how far it is, where a table on stdout is not disturbed."""
    print(text, file=sys.stderr, flush=True)


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
    parser.add_argument("--policy", choices=POLICIES, default="passive", help="how OpenMP's threads wait (default: passive)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe, for everybody")
    parser.add_argument("--data-root", type=Path, help="folder of the data sets (default: $GANLAB_DATA, else ganlab's cache)")
    parser.add_argument("--write", action="store_true", help="put the tables into --page")
    parser.add_argument("--page", type=Path, default=PAGE, help="(default: docs/benchmarks.md)")
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
    busy = load_complaint(load_average(), os.cpu_count() or 1)
    about = [
        f"Measured: {described()}",
        f"{options.rounds} rounds. {POLICIES[options.policy]}." + (f" With {', '.join(options.set)}." if options.set else ""),
    ]
    if busy:
        about.append(f"**The machine was not quiet**: {busy}.")
        tell(f"note: {busy}; what is measured now says little")
    for recipe in options.recipes:
        try:
            setting = settle(recipe, options.set, options.data_root)
        except CannotSettle as error:
            sys.exit(f"{recipe} cannot be measured: {error}")
        with tempfile.TemporaryDirectory(prefix="ganlab-speed-") as folder:
            lines = [*about, "", *measured(setting, options, Path(folder))]
        print("\n".join([*lines, ""]), flush=True)
        if options.write:
            try:
                write(f"speed {recipe}", lines, options.page)
            except (NoPlace, OSError) as error:
                sys.exit(f"{options.page} is not written: {error}")


if __name__ == "__main__":
    main()
