"""Join a run's sample sheets, from the first to the last, into one picture: ``python docs/film_strip.py runs/RUN OUT.png``."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

GAP = 8  # pixels between two sheets


def join(sheets: list[Path], out: Path) -> None:
    """Write the sheets side by side, as a grey-scale PNG."""
    pictures = [Image.open(path).convert("L") for path in sheets]
    strip = Image.new("L", (sum(p.width for p in pictures) + GAP * (len(pictures) - 1), max(p.height for p in pictures)), 255)
    left = 0
    for picture in pictures:
        strip.paste(picture, (left, 0))
        left += picture.width + GAP
    strip.save(out, optimize=True)


def main() -> None:
    """Join the sheets of the run that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--at", type=float, nargs="+", default=[0.02, 0.1, 0.3, 1.0], help="moments, as shares of the run")
    options = parser.parse_args()
    sheets = sorted((options.run / "samples").glob("step_*.png"))
    join([sheets[round(share * (len(sheets) - 1))] for share in options.at], options.out)


if __name__ == "__main__":
    main()
