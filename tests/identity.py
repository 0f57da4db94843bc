"""Checks that this checkout of ganlab trains to the same bits as an older commit.

    python tests/identity.py 0c9ded4                           compare this checkout with that commit
    python tests/identity.py 0c9ded4 --only "trick clamp"      some cases only; may be given several times
    python tests/identity.py 0c9ded4 --jobs 2                  two processes at a time
    python tests/identity.py --list 0c9ded4                    the names of the cases

Both versions are installed beside each other in a temporary folder, and each plays the same cases (``identity/identity_cases.py``) with
the recipe files of the older commit, on the CPU, with one thread, 60 steps each. Compared are: the sha256 of each tensor of the last
checkpoint and of the saved generator, the checkpoint's other content, the metrics without times, the transcript of hook calls with
digests of what the hooks were handed, the counters and status, what was measured, and the names of the files. A run that was resumed
from step 30 must in all this equal the one that never stopped, in both versions.

The exit code is 0 when nothing differs and 1 when something does. What only this checkout has in a checkpoint's JSON document, such as a
new option in the recipe, is listed and is no difference. The record is made anew each time: it depends on the machine.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "identity"))

from identity_cases import HALF, Case, all_cases  # noqa: E402 - it lies in a folder beside this file

SHOWN = 3  # differences of each kind that are printed
WIDTH = 300  # characters of each value


def install(source: Path, site: Path) -> None:
    """Install the ganlab in ``source`` into the folder ``site``, without its dependencies and without the network."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(site), str(source)], check=True)


def archive(commit: str, folder: Path) -> None:
    """Write the files of ``commit`` into ``folder``."""
    content = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        tar.extractall(folder, filter="data")


def record(site: Path, recipes: Path, folder: Path, names: list[str]) -> dict[str, Any]:
    """Play these cases with the ganlab in ``site``, in a process of its own, and return what it recorded."""
    folder.mkdir(parents=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GANLAB_", "MLFLOW_"))}
    if os.environ.get("GANLAB_DATA"):
        environment["GANLAB_DATA"] = str(Path(os.environ["GANLAB_DATA"]).expanduser().resolve())
    environment |= {"PYTHONPATH": os.pathsep.join([str(site), str(HERE / "identity")]), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"OMP_NUM_THREADS": "1", "GANLAB_STATE": str(folder / "state"), "GANLAB_CACHE": str(folder / "cache")}
    out = folder / "record.json"
    script = HERE / "identity/identity_record.py"
    # -P: this folder's modules must not hide what is installed
    command = [sys.executable, "-P", str(script), *map(str, (site, recipes, folder, out)), *names]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"recording with {site} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def record_both(sites: dict[str, Path], recipes: Path, folder: Path, names: list[str], jobs: int) -> dict[str, dict[str, Any]]:
    """What each side recorded, by side and case. ``jobs`` processes run at a time, each with a part of one side's cases."""
    parts = max(1, jobs // 2)
    work = [(side, number, names[number::parts]) for number in range(parts) for side in sites if names[number::parts]]
    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(lambda job: record(sites[job[0]], recipes, folder / f"{job[0]}-{job[1]}", job[2]), work))
    sides: dict[str, dict[str, Any]] = {side: {} for side in sites}
    for (side, _, _), recorded in zip(work, found, strict=True):
        sides[side] |= recorded
    return sides


# -- comparing -------------------------------------------------------------------------------------------------------------


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """What differs between the records of one case, in words: ``old`` is the base's."""
    for side, found in (("base", old), ("checkout", new)):
        if "error" in found:
            yield f"the case failed in the {side}: {found['error']}"
    if "error" in old or "error" in new:
        return
    for part in ("straight", "resumed"):
        yield from (f"{part}: {text}" for text in run_differences(old[part], new[part], "base", "checkout", added=True))
    for side, found in (("base", old), ("checkout", new)):
        yield from (f"resume in the {side}: {text}" for text in resume_differences(found["straight"], found["resumed"]))


def run_differences(old: dict[str, Any], new: dict[str, Any], was: str, now: str, added: bool = False) -> Iterator[str]:
    """What differs between two runs, which are called ``was`` and ``now``.

    ``added``: leaves of the state that only the new one has are no difference; :func:`additions` lists them.
    """
    for section in ("tensors", "state", "run"):
        before, after = old[section], new[section]
        keys = [key for key in [*before, *(after.keys() - before.keys())] if before.get(key) != after.get(key)]
        keys = [key for key in keys if key in before or section != "state" or not added]
        yield from (f"{section}: {key}: {told(before.get(key), after.get(key), was, now)}" for key in keys[:SHOWN])
        if len(keys) > SHOWN:
            yield f"{section}: and {len(keys) - SHOWN} more"
    for section in ("metrics", "hooks"):
        yield from list_differences(section, old[section], new[section], was, now)
    for name in sorted(set(old["files"]) ^ set(new["files"])):
        yield f"files: {name} is only in the run of the {was if name in old['files'] else now}"


def list_differences(section: str, old: list[str], new: list[str], was: str, now: str) -> Iterator[str]:
    """The first place at which two lists of lines differ."""
    if old == new:
        return
    place = next((i for i, (before, after) in enumerate(zip(old, new, strict=False)) if before != after), min(len(old), len(new)))
    more = f"; {len(old)} lines in the {was}, {len(new)} in the {now}" if len(old) != len(new) else ""
    before, after = (lines[place] if place < len(lines) else None for lines in (old, new))
    yield f"{section}: line {place + 1}{more}: {told(before, after, was, now)}"


def told(before: str | None, after: str | None, was: str, now: str) -> str:
    """Two values that differ, from shortly before the first character that does."""
    if before is None or after is None:
        return f"only in the {was if after is None else now}: {str(after if before is None else before)[:WIDTH]}"
    place = next((i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    start = 0 if max(len(before), len(after)) <= WIDTH else max(0, place - WIDTH // 3)
    return f"{was} {before[start : start + WIDTH]} | {now} {after[start : start + WIDTH]}"


def resume_differences(straight: dict[str, Any], resumed: dict[str, Any]) -> Iterator[str]:
    """What differs between a run that never stopped and the one that was resumed at half of it."""
    saved = next(i for i, call in enumerate(straight["hooks"]) if call.startswith(f"after_checkpoint {HALF} "))
    begun = next(i for i, call in enumerate(resumed["hooks"]) if call.startswith("before_run "))
    tail, rest = straight["hooks"][saved + 1 :], resumed["hooks"][begun + 1 :]
    yield from run_differences(straight | {"hooks": tail}, resumed | {"hooks": rest}, "straight run", "resumed run")


def additions(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    """The leaves of the checkpoint's JSON document that only the checkout has."""
    return set() if "error" in old or "error" in new else new["straight"]["state"].keys() - old["straight"]["state"].keys()


def uncovered(site: Path, cases: dict[str, Case], folder: Path) -> list[str]:
    """First-party tricks of the base that no case uses, by the JSON schema of recipes: their names."""
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-P", "-m", "ganlab", "schema"]
    text = subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True, text=True).stdout
    branches = json.loads(text)["$defs"]["trick"]["oneOf"]
    names = {branch["properties"]["use"]["const"] for branch in branches if "use" in branch.get("required", [])}
    return sorted(names - {name.removeprefix("trick ") for name in cases})


def report(sides: dict[str, dict[str, Any]], names: list[str]) -> int:
    """Print a line for each case, and below it what differs.

    Returns:
        How many cases differ.
    """
    wrong, added = 0, set()
    for name in names:
        old, new = sides["base"][name], sides["checkout"][name]
        found = list(differences(old, new))
        added |= additions(old, new)
        wrong += bool(found)
        print(f"{'DIFFERS' if found else 'same   '}  {name}")
        for text in found:
            print(f"         {text}")
    for key in sorted(added):
        print(f"only the checkout's checkpoints have: {key}")
    return wrong


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Check that this checkout of ganlab trains to the same bits as an older commit.")
    parser.add_argument("base", help="the older commit, such as 0c9ded4")
    parser.add_argument("--only", action="append", default=[], metavar="CASE", help="play this case; may be given several times")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--list", action="store_true", help="print the names of the cases, and do nothing")
    parser.add_argument("--out", type=Path, help="write what both sides recorded to this JSON file")
    return parser.parse_args()


def main() -> int:
    """Compare, and return the exit code."""
    given, began = arguments(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ganlab-identity-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        archive(given.base, folder / "source")
        cases = all_cases(folder / "source/recipes")
        if given.list:
            print(*cases, sep="\n")
            return 0
        unknown = [name for name in given.only if name not in cases]
        if unknown:
            raise SystemExit(f"no case is called {unknown[0]!r}; `--list` prints all names")
        sites = {"base": folder / "base-site", "checkout": folder / "checkout-site"}
        install(folder / "source", sites["base"])
        install(ROOT, sites["checkout"])
        left_out = uncovered(sites["base"], cases, folder)
        if left_out:
            raise SystemExit(f"no case uses the tricks {', '.join(left_out)}: add them to TRICKS in identity_cases.py")
        names = [name for name in cases if not given.only or name in given.only]
        sides = record_both(sites, folder / "source/recipes", folder / "work", names, given.jobs)
        if given.out:
            given.out.write_text(json.dumps(sides))
    wrong = report(sides, names)
    print(f"{len(names)} cases, {wrong} of them differ from {given.base}; {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
