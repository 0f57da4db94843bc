"""Whether what a command printed is what a page shows, leaving aside what differs from one machine and one moment to the next."""

from __future__ import annotations

import re
from collections.abc import Callable

HOME = "/home/you/gans"  # what a page calls the folder that its commands run in
RUN_ID = re.compile(r"\b\d{8}-\d{6}-(\w+?)-[0-9a-f]{4}\b")
#: What is written over before two texts are compared, and what it becomes.
VARIES: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (RUN_ID, r"RUN-\1"),
    (re.compile(r"on (cpu|cuda\S*) \((?:[^()\n]|\([^()\n]*\))*\)"), r"on \1"),  # the processor's name, such as Intel(R) Xeon(R)
    (re.compile(r"^(step [\d,]+ of [^\n]*\n)+(?=step )", re.MULTILINE), ""),  # one every few seconds: the last is compared
    (re.compile(r"^note: A process still sends this run to MLflow[^\n]*\n", re.MULTILINE), ""),  # where the machine has other things to do
    (re.compile(r"(cpu +)\d+\.\d(?= )"), r"\1MINUTES"),
    (re.compile(r"^minutes +\d[^\n]*$", re.MULTILINE), "minutes N"),  # a row of a comparison
    (re.compile(r"[\d,.]+ steps/s"), "N steps/s"),
    (re.compile(r"ETA [\d:]+"), "ETA N"),
    (re.compile(r"after (\d+ h )?\d+ min \d+ s"), "after N"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "WHEN"),
    (re.compile(r"(passed|failed) in [\d.]+s"), r"\1 in N"),
    # of what was measured, what it was: how good samples become after thousands of steps depends on how the processor rounds
    (re.compile(r"(?<=^quality)[^\n]*$", re.MULTILINE), lambda found: re.sub(r"-?\d[\d.]*", "N", found[0])),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
]
#: Numbers that rounding on another processor may change after some hundred steps: losses and scores, shares such as 74%/88%, and how
#: probable a difference is by chance.
LOOSE = re.compile(r"(?<![\w.-])-?\d+\.\d{3,}(?![\w.])|\d+(?=%/)|(?<=%/)\d+(?=%)|(?<=\(p = )\d\.\d+(?=\))")
NUMBER = r"(-?\d+(?:\.\d+)?)"
LOSS, SHARE = 0.2, 8.0  # how far apart they may be


def same(shown: str, printed: str) -> bool:
    """Whether a page's text is what was printed. ``...`` on the page stands for anything, on a line of its own for any lines."""
    shown, printed = _plain(shown), _plain(printed)
    numbers: list[float] = []
    found = re.fullmatch(_pattern(shown, numbers), printed + "\n")
    return found is not None and all(_close(wanted, float(text)) for wanted, text in zip(numbers, found.groups(), strict=True))


def _plain(text: str) -> str:
    for pattern, instead in VARIES:
        text = pattern.sub(instead, text)
    return text.strip("\n")


def _pattern(shown: str, numbers: list[float]) -> str:
    parts = []
    for line in shown.split("\n"):
        if line.strip() == "...":
            parts.append(r"(?:[^\n]*\n)*?")
            continue
        pieces = []
        for piece in line.split("..."):
            numbers += [float(number) for number in LOOSE.findall(piece)]
            pieces.append(NUMBER.join(re.escape(text) for text in LOOSE.split(piece)))
        parts.append(r"[^\n]*".join(pieces) + "\n")
    return "".join(parts)


def _close(wanted: float, found: float) -> bool:
    return abs(wanted - found) <= (SHARE if wanted == int(wanted) else LOSS)
