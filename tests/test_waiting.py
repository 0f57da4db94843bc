"""How OpenMP's threads wait: awake while the cores are theirs, else asleep, unless the environment says otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from support import children

from ganlab.speed import thread_waiting
from ganlab.speed.thread_waiting import (
    MAX_PAUSE,
    WAIT_SETTINGS,
    ContentionMonitor,
    SleepDecision,
    gnu_openmp_libraries,
    is_contended,
    set_wait_policy,
    waiting_times,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP comes with PyTorch on Linux")


def ended(code: str, environment: dict[str, str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A process of its own, in ``folder``, whose environment says of waiting only this."""
    whole = {name: value for name, value in os.environ.items() if name not in (*WAIT_SETTINGS, "OMP_NUM_THREADS")} | environment
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=whole, capture_output=True, text=True, check=True)


NOTHING = dict.fromkeys(WAIT_SETTINGS)
LOOK = f"""
import json, os, threading
import ganlab

def look():
    watched = "ganlab-waiting" in [thread.name for thread in threading.enumerate()]
    print(json.dumps([{{name: os.environ.get(name) for name in {list(WAIT_SETTINGS)}}}, watched]))

class Look:
    @ganlab.hookimpl
    def before_run(self, run):
        look()

class Measure:
    results, needs, quick = {{"looked": "higher"}}, "samples", False

    def measure(self, evidence):
        look()
        return {{"looked": 1.0}}

@ganlab.hookimpl
def register_tricks(register):
    register("look", Look)

@ganlab.hookimpl
def register_metrics(register):
    register("measure", Measure)
"""


def told(way: str, environment: dict[str, str], threads: int, folder: Path) -> tuple[dict[str, str | None], bool]:
    """What the environment says of it while a run goes on, and whether somebody watches."""
    (folder / "look.py").write_text(LOOK, encoding="utf-8")
    words = ["train.steps=1", "tracking.enabled=false", f"train.threads={threads}", "evaluation.at_end=false", 'plugins=["look.py"]']
    words += ['tricks.look={use="look"}']
    if way == "command":
        code = f"from ganlab.cli import main; main(['run', 'ring', '--quiet', *{[part for word in words for part in ('--set', word)]}])"
    else:
        code = f"import ganlab; ganlab.run('ring', {words}, display=False)"
    line = next(line for line in ended(code, environment, folder).stdout.splitlines() if line.startswith("["))
    found, watched = json.loads(line)
    return found, watched


@linux
@pytest.mark.parametrize(
    ("way", "environment", "threads", "expected"),
    [
        ("command", {}, 2, (WAIT_SETTINGS, True)),
        ("command", WAIT_SETTINGS, 2, (WAIT_SETTINGS, True)),
        ("command", {}, 1, (WAIT_SETTINGS, False)),
        ("command", {"OMP_WAIT_POLICY": "ACTIVE"}, 2, (NOTHING | {"OMP_WAIT_POLICY": "ACTIVE"}, False)),
        ("command", {"GOMP_SPINCOUNT": "5"}, 2, (NOTHING | {"GOMP_SPINCOUNT": "5"}, False)),
        ("script", {}, 2, (NOTHING, True)),
        ("script", {"OMP_WAIT_POLICY": "PASSIVE"}, 2, (NOTHING | {"OMP_WAIT_POLICY": "PASSIVE"}, False)),
    ],
)
def test_a_run_of_two_threads_is_watched_unless_the_environment_says_how_they_wait(
    way: str, environment: dict[str, str], threads: int, expected: tuple[dict[str, str | None], bool], tmp_path: Path
) -> None:
    assert told(way, environment, threads, tmp_path) == expected


@linux
@pytest.mark.parametrize("threads", [1, 2])
def test_an_evaluation_of_two_threads_is_watched(threads: int, tmp_path: Path) -> None:
    (tmp_path / "look.py").write_text(LOOK, encoding="utf-8")
    words = ["--set", "train.steps=1", "--set", "tracking.enabled=false", "--set", "evaluation.at_end=false"]
    ended(f"from ganlab.cli import main; main(['run', 'ring', '--quiet', *{words}])", {}, tmp_path)
    asked = ["--set", 'plugins=["look.py"]', "--set", 'metrics.look={use="measure"}']
    code = f"from ganlab.cli import main; main(['evaluate', 'last', *{asked}])"
    shown = ended(code, {"OMP_NUM_THREADS": str(threads)}, tmp_path).stdout
    assert json.loads(next(line for line in shown.splitlines() if line.startswith("["))) == [WAIT_SETTINGS, threads == 2]


@linux
def test_openmp_takes_it() -> None:
    code = "from ganlab.speed.thread_waiting import set_wait_policy; set_wait_policy(); import torch"
    shown = ended(code, {"OMP_DISPLAY_ENV": "verbose"}).stderr
    if "GOMP_SPINCOUNT" not in shown:
        pytest.skip("this PyTorch has another OpenMP")
    assert "GOMP_SPINCOUNT = '10000'" in shown and "OMP_WAIT_POLICY = 'PASSIVE'" in shown


#: Waits of half a second, and the seconds of all cores that are spent in each; a thread that stays awake as long as it must.
SPENT = """
import json, time, torch
from ganlab.speed.thread_waiting import IdleThreads, gnu_openmp_libraries
torch.set_num_threads(2)
numbers, idle_threads = torch.ones(1 << 20), IdleThreads()
def spent():
    numbers.add_(1)  # by two threads
    before = time.process_time()
    time.sleep(0.5)
    return time.process_time() - before
def awake():
    return max(spent() for _ in range(4))  # the threads that were held may take a moment to end
found = [awake()]
for _ in range(2):
    idle_threads.start()
    idle_threads.start()  # changes nothing
    found.append(spent())
    idle_threads.stop()
    found.append(awake())
print(json.dumps([len(gnu_openmp_libraries()), found]))
"""


@linux
@pytest.mark.parametrize(
    ("environment", "awake"),
    [({"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "30000000000"}, 0.05), ({}, 0.001)],
    ids=["as the command, but for long", "as a script, by OpenMP's default"],
)
def test_threads_sleep_while_others_are_held_and_stay_awake_before_and_after(environment: dict[str, str], awake: float) -> None:
    openmp, found = json.loads(ended(SPENT, environment).stdout)
    if not openmp:
        pytest.skip("this PyTorch has another OpenMP")
    assert [seconds > awake for seconds in found] == [True, False, True, False, True], found


def test_the_watch_does_as_it_sees_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    looks = iter([0, 0, 10**9, 2 * 10**9, 3 * 10**9, 3 * 10**9])
    over = threading.Event()

    def look() -> dict[str, int]:
        try:
            return {"1": next(looks)}
        except StopIteration:
            over.set()
            return {"1": 3 * 10**9}

    class Told:
        def start(self) -> None:
            done.append("asleep")

        def stop(self) -> None:
            done.append("awake")

    monkeypatch.setattr(thread_waiting, "waiting_times", look)
    monkeypatch.setattr(thread_waiting, "IdleThreads", Told)
    monkeypatch.setattr(thread_waiting, "CHECK_INTERVAL", 0.001)
    monkeypatch.setattr("time.monotonic", iter(range(10**6)).__next__)
    monitor = ContentionMonitor()
    monitor.start()
    assert over.wait(30)
    monitor.stop()
    assert done[:5] == ["awake", "awake", "asleep", "asleep", "awake"] and done[-1] == "awake"
    assert not monitor.is_alive()


@pytest.mark.parametrize(
    ("seen", "asleep"),
    [
        ("....x..........x.....", "....................."),  # one crowded second is none
        ("....x.........x......", "..............s......"),  # but ten must lie between it and the next
        ("....xx....", ".....s...."),
        (".xxxx...", "..sss..."),
        ("xx.x..x.....x", ".s.ss.ssss..s"),  # where it was crowded before, one is enough, and sends them away for longer
        ("xx.x.x..", ".s.ssss."),  # from the last one on
        ("xx.x............x.xx", ".s.ss.............ss"),  # until it has been quiet for longer than that
        ("x.x.x.x.x.x", "..s.sssssss"),
    ],
)
def test_threads_sleep_while_it_is_crowded_and_no_longer(seen: str, asleep: str) -> None:
    decision = SleepDecision()
    assert "".join("s" if decision.should_sleep(look == "x") else "." for look in seen) == asleep


def test_who_is_in_the_way_only_while_awake_is_awake_ever_less() -> None:
    decision, asleep, pauses = SleepDecision(), False, [0]
    for _ in range(10 * MAX_PAUSE):
        asleep = decision.should_sleep(not asleep)
        if asleep:
            pauses[-1] += 1
        elif pauses[-1]:
            pauses.append(0)
    assert pauses[:9] == [1, 2, 4, 8, 16, 32, MAX_PAUSE, MAX_PAUSE, MAX_PAUSE]
    for _ in range(2 * MAX_PAUSE):  # nobody else is there any more
        asleep = decision.should_sleep(False)
    assert not asleep
    found = [decision.should_sleep(contended) for contended in (True, True, False)]
    assert found == [False, True, False]  # and what was learned is forgotten


@linux
def test_the_system_tells_how_long_threads_wait_for_a_core() -> None:
    found = waiting_times()
    if found is None:
        pytest.skip("this system does not count it")
    assert str(threading.get_native_id()) in found and all(nanoseconds >= 0 for nanoseconds in found.values())


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"7": "500 20 3\n", "8": "0 10 1\n"}, {"7": 20, "8": 10}),
        ({"7": "0 0 0\n", "8": "0 0 0\n"}, None),
        ({"7": "nonsense\n", "8": "500 10 1\n"}, {"8": 10}),
        ({}, None),
    ],
    ids=["counted", "switched off", "another format", "not there"],
)
def test_a_system_that_does_not_count_is_known(tmp_path: Path, told: dict[str, str], expected: dict[str, int] | None) -> None:
    for thread, text in told.items():
        (tmp_path / thread).mkdir()
        (tmp_path / thread / "schedstat").write_text(text, encoding="ascii")
    assert waiting_times(tmp_path) == expected


def test_a_thread_counts_from_when_it_was_first_seen_and_where_nobody_counts_it_is_crowded() -> None:
    assert not is_contended({"1": 10**9, "2": 5}, {"1": 10**9}, 1.0)  # the second has ended
    assert is_contended({"1": 10**9}, {"1": 10**9, "2": 10**9}, 2.0)
    assert is_contended(None, {"1": 0}, 1.0) and is_contended({"1": 0}, None, 1.0)


@linux
def test_pytorchs_openmp_is_found() -> None:
    brought = {str(file.resolve()) for file in (Path(torch.__file__).parent / "lib").glob("libgomp*")}
    if not brought:
        pytest.skip("this PyTorch has another OpenMP")
    assert brought <= {str(Path(file).resolve()) for file in gnu_openmp_libraries()}


def test_all_that_is_measured_waits_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    found = {policy: {name: children.environment(1, policy).get(name) for name in WAIT_SETTINGS} for policy in ("brief", "passive", "own")}
    assert found == {
        "brief": WAIT_SETTINGS,
        "passive": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": None},
        "own": {"OMP_WAIT_POLICY": None, "GOMP_SPINCOUNT": None},
    }
    set_wait_policy()  # somebody has said something
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("ACTIVE", "7")
