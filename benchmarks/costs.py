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

from support.contestants import Unable
from support.overhead import overhead
from support.report import add_options, circumstances, deliver, tell
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
        add_options(one)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    options = arguments(words)
    about = circumstances(options)
    try:
        setting = settle(options.recipe, options.set, options.data_root).with_(threads=options.threads)
        with tempfile.TemporaryDirectory(prefix="ganlab-costs-") as folder:
            lines = COMMANDS[options.what][1](setting, options, Path(folder))
    except (CannotSettle, Unable) as error:
        sys.exit(f"{options.what} of {options.recipe} cannot be measured: {error}")
    deliver(f"costs {options.what}", [*about, "", *lines], options)


if __name__ == "__main__":
    main()
