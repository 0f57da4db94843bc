"""The gallery of the tutorials' recipes, docs/tutorials.md: trained, measured and written by this command.

    python docs/gallery train                 every recipe, at its budget here; those that are finished are left as they are
    python docs/gallery train NAME --port     one, with the tutorial's independent port beside it, on the same draws
    python docs/gallery write                 measure the runs, and write the page and its pictures

MNIST is read from GANLAB_DATA and must be there. All of it takes about an hour on two CPU cores.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "benchmarks"), str(ROOT / "tests" / "tutorials")]  # digit_coverage, and the ports


def main() -> None:
    """Train, or write."""
    from page import write
    from training import BUDGETS, train

    parser = argparse.ArgumentParser(prog="python docs/gallery", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "write"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes to train; all of them when none is named")
    parser.add_argument("--port", action="store_true", help="train the tutorial's port on the same draws, too")
    parser.add_argument("--runs-dir", type=Path, default=ROOT / "gallery", help="where the runs are  [default: gallery/]")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BUDGETS]
    if unknown:
        parser.error(f"there is no tutorial's recipe {unknown[0]}; choices: {', '.join(BUDGETS)}")
    if not (Path(os.environ.get("GANLAB_DATA", "")) / "MNIST" / "raw").is_dir():
        parser.error("GANLAB_DATA must name the folder that holds MNIST/raw")
    if options.what == "train":
        train(options.runs_dir, options.names or list(BUDGETS), options.port)
    else:
        write(options.runs_dir, ROOT / "docs")


if __name__ == "__main__":
    main()
