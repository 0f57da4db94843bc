"""What both commands say around their tables: under what conditions they were measured; and where the tables go."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from support.busy import load_average, load_complaint
from support.machine import described
from support.page import PAGE, NoPlace, write, written
from support.waiting import POLICIES


def tell(text: str) -> None:
    """Say how far it is, where a table on stdout is not disturbed."""
    print(text, file=sys.stderr, flush=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every command has."""
    parser.add_argument("--policy", choices=POLICIES, default="brief", help="how OpenMP's threads wait (default: brief)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe, for everybody")
    parser.add_argument("--data-root", type=Path, help="folder of the data sets (default: $GANLAB_DATA, else ganlab's cache)")
    parser.add_argument("--write", action="store_true", help="put the tables into --page")
    parser.add_argument("--page", type=Path, default=PAGE, help="(default: docs/benchmarks.md)")


def circumstances(options: argparse.Namespace, device: str = "cpu") -> list[str]:
    """When, where and how; asked before anything of ours has begun, so that the load average is of others."""
    try:
        lines = [f"Measured: {described(device)}", POLICIES[options.policy][0]]
    except ValueError as error:
        sys.exit(str(error))
    lines += [f"With {', '.join(options.set)}."] if options.set else []
    if busy := load_complaint(load_average(), os.cpu_count() or 1):
        lines.append(f"**The machine was not quiet**: {busy}.")
        tell(f"note: {busy}; what is measured now says little")
    return lines


def expect(name: str, options: argparse.Namespace) -> None:
    """See that the page has a place of that name, if it is to be written: before an hour is spent on measuring."""
    if options.write:
        try:
            written(options.page.read_text(encoding="utf-8"), name, [])
        except (NoPlace, OSError) as error:
            sys.exit(f"{options.page} cannot be written: {error}")


def deliver(name: str, lines: Sequence[str], options: argparse.Namespace) -> None:
    """Print the lines, and put them into the page's place of that name if asked to."""
    print("\n".join([*lines, ""]), flush=True)
    if options.write:
        try:
            write(name, lines, options.page)
        except (NoPlace, OSError) as error:
            sys.exit(f"{options.page} is not written: {error}")
