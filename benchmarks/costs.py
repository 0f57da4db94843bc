"""What ganlab's comfort costs: ``python benchmarks/costs.py {overhead,start,memory,scaling}``.

overhead: what hooks, metrics, files, MLflow and the display add to a step of the bare engine. start: from ``ganlab run`` to the first
step, beside a bare script. memory: flat over many steps? and its peak beside the tutorial's loop. scaling: steps per second over batch
sizes, widths and amounts of data, and what limits them.

Every measurement is a process of its own, and the tables say when the machine had other things to do.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from speed import POLICIES, tell
from support.busy import load_average, load_complaint
from support.contestants import Unable
from support.machine import described
from support.overhead import overhead
from support.page import PAGE, NoPlace, write
from support.resident import memory
from support.scaling import BATCHES, SIZES, WIDTHS, Grid, scaling
from support.setting import CannotSettle, Setting, settle
from support.start import start

Options = argparse.Namespace


def _overhead(setting: Setting, options: Options, folder: Path) -> list[str]:
    return overhead(
        setting, options.rounds, folder, seconds=options.seconds, steps=options.steps, policy=options.policy, tell=tell
    )  # fmt: skip


def _start(setting: Setting, options: Options, folder: Path) -> list[str]:
    return start(setting, options.rounds, folder, policy=options.policy, tell=tell)


def _memory(setting: Setting, options: Options, folder: Path) -> list[str]:
    return memory(setting, options.steps or 100_000, folder, policy=options.policy, tell=tell)


def _scaling(setting: Setting, options: Options, folder: Path) -> list[str]:
    grid = Grid(options.batches, options.widths, options.sizes)
    return scaling(
        setting, grid, options.rounds, folder, seconds=options.seconds, steps=options.steps, policy=options.policy, tell=tell
    )  # fmt: skip


COMMANDS: dict[str, tuple[str, Callable[[Setting, Options, Path], list[str]]]] = {
    "overhead": ("what is added to a step of the bare engine", _overhead),
    "start": ("from the command to the first step", _start),
    "memory": ("flat over many steps? and its peak", _memory),
    "scaling": ("over batch sizes, widths and amounts of data", _scaling),
}


def arguments(words: list[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    for name, (text, _) in COMMANDS.items():
        one = commands.add_parser(name, help=text)
        one.add_argument("--recipe", default="mnist_mlp", help="(default: mnist_mlp)")
        one.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="(default: one a core)")
        if name != "memory":
            one.add_argument("--rounds", type=int, default=3 if name == "scaling" else 7, help="(default: %(default)s)")
        if name in ("overhead", "scaling"):
            one.add_argument("--seconds", type=float, default=8.0, help="that each measurement should take (default: 8)")
        if name != "start":
            default = " (default: 100000)" if name == "memory" else ", in place of --seconds"
            one.add_argument("--steps", type=int, help=f"of each measurement{default}")
        if name == "scaling":
            for key, values in (("batches", BATCHES), ("widths", WIDTHS), ("sizes", SIZES)):
                words_of = " ".join(map(str, values))
                one.add_argument(f"--{key}", nargs="*", type=int, default=values, metavar="N", help=f"(default: {words_of})")
        one.add_argument("--policy", choices=POLICIES, default="passive", help="how OpenMP's threads wait (default: passive)")
        one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe, for everybody")
        one.add_argument("--data-root", type=Path, help="folder of the data sets (default: $GANLAB_DATA, else ganlab's cache)")
        one.add_argument("--write", action="store_true", help="put the tables into --page")
        one.add_argument("--page", type=Path, default=PAGE, help="(default: docs/benchmarks.md)")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    options = arguments(words)
    busy = load_complaint(load_average(), os.cpu_count() or 1)
    try:
        setting = settle(options.recipe, options.set, options.data_root).with_(threads=options.threads)
        with tempfile.TemporaryDirectory(prefix="ganlab-costs-") as folder:
            lines = COMMANDS[options.what][1](setting, options, Path(folder))
    except (CannotSettle, Unable) as error:
        sys.exit(f"{options.what} of {options.recipe} cannot be measured: {error}")
    about = [f"Measured: {described()}", f"{POLICIES[options.policy]}."]
    about += [f"**The machine was not quiet**: {busy}."] if busy else []
    lines = [*about, "", *lines]
    print("\n".join(lines), flush=True)
    if options.write:
        try:
            write(f"costs {options.what}", lines, options.page)
        except (NoPlace, OSError) as error:
            sys.exit(f"{options.page} is not written: {error}")


if __name__ == "__main__":
    main()
