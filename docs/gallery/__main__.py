"""The gallery of the tutorials' recipes, docs/tutorials.md: trained, measured and written by this command.

    python docs/gallery train                          every recipe at its budget here, and what helps those that do badly, three seeds each
    python docs/gallery train --port NAME --seed 0     one, with the tutorial's independent port beside it, on the same draws
    python docs/gallery write                          write the page and its pictures
    python docs/gallery tricks                         which stability trick helps: train what is missing, write README's section

Only runs that are missing are made, and what was interrupted goes on. MNIST is read from GANLAB_DATA and must be there. All of it takes
about three hours on two CPU cores.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "tests" / "tutorials")]  # the ports


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What is asked for."""
    from training import BUDGETS, SEEDS

    parser = argparse.ArgumentParser(prog="python docs/gallery", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "write", "tricks"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes to train; all of them when none is named")
    parser.add_argument("--port", action="store_true", help="train the tutorial's port on the same draws, too, with one seed")
    parser.add_argument("--seed", type=int, choices=SEEDS, default=SEEDS[0], help="the seed with which a port is trained")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many go on side by side  [default: one per CPU core]")
    parser.add_argument("--runs-dir", type=Path, default=ROOT / "gallery", help="where the runs are  [default: gallery/]")
    options = parser.parse_intermixed_args(words)  # names may come after an option
    unknown = [name for name in options.names if name not in BUDGETS]
    if unknown:
        parser.error(f"there is no tutorial's recipe {unknown[0]}; choices: {', '.join(BUDGETS)}")
    if not (Path(os.environ.get("GANLAB_DATA", "")) / "MNIST" / "raw").is_dir():
        parser.error("GANLAB_DATA must name the folder that holds MNIST/raw")
    options.names = options.names or list(BUDGETS)
    return options


def main() -> None:
    """Train, or write."""
    import tricks
    from page import write
    from training import train, train_with_port

    options = arguments()
    if options.what == "write":
        write(options.runs_dir, ROOT / "docs")
    elif options.what == "tricks":
        tricks.train(options.runs_dir, options.jobs)
        tricks.write(options.runs_dir, ROOT)
    elif options.port:
        for name in options.names:
            train_with_port(options.runs_dir, name, options.seed)
    else:
        train(options.runs_dir, options.names, options.jobs)


if __name__ == "__main__":
    main()
