"""The benchmarks' arithmetic, on planted numbers: what is counted, judged and written down."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import loops.floor
import pytest
import torch
from support.busy import Seen, complaints, load_complaint, look_around, share_of_others, spread, working_seconds
from support.children import Ended
from support.contestants import CONTESTANTS, Outcome, Unable, account_of
from support.losses import compare
from support.overhead import added, rungs
from support.page import NoPlace, marks, write, written
from support.products import Work, parameters, step, work
from support.regime import Peaks, regime
from support.resident import MIB, growth
from support.rounds import Race, order, varies
from support.setting import Setting
from support.start import start_table
from support.tables import number, speed_table, table

ADAM = {"lr": 2e-4, "betas": [0.9, 0.999], "eps": 1e-8}
QUIET = Seen(0.0, 0.01)


def setting(**changes: Any) -> Setting:
    """T0, but for ``changes`` of its tables."""
    document = {
        "noise": {"use": "normal", "dimension": 64},
        "generator": {"use": "mlp", "hidden": [256, 256], "batch_norm": "none", "optimizer": ADAM},
        "discriminator": {"use": "mlp", "hidden": [256, 256], "batch_norm": "none", "optimizer": ADAM},
        "schedule": {"discriminator_turn": "two_passes", "discriminator_steps": 1, "generator_steps": 1},
        "train": {"batch_size": 100, "log_every": 200},
        "tricks": [],
    }  # fmt: skip
    for name, values in changes.items():
        document[name] = values if isinstance(values, list) else document[name] | values
    return Setting("mnist_mlp", (), document, (1, 28, 28), 60000, "data", 1500, 1500, steps=100)


def outcome(rate: float, seen: Seen = QUIET, peak: int = 100 * MIB, generator: int = 100) -> Outcome:
    """100 steps at that rate."""
    return Outcome(100, 0, 100 / rate, {}, {"discriminator": 100, "generator": generator}, Ended(0, "", 0.0, peak, seen))


# -- what a step must compute --------------------------------------------------------------------------------------------


def test_the_plain_game_has_twenty_five_products() -> None:
    """G, D on both sides, D's slopes; G, D, D's slopes down to the image, G's slopes."""
    assert work(setting()).products == 3 + 3 + 5 + 3 + 3 + 3 + 5
    assert parameters(setting(), "generator") == 64 * 256 + 256 + 256 * 256 + 256 + 256 * 784 + 784


def test_flops_and_bytes_by_hand() -> None:
    """G 2-3-4 and D 4-5-1 with two rows: layer by layer."""
    tiny = setting(noise={"dimension": 2}, generator={"hidden": [3]}, discriminator={"hidden": [5]}, train={"batch_size": 2})
    tiny = Setting(**{**tiny.__dict__, "shape": (1, 2, 2)})
    g, d = 2 * 3 + 3 * 4, 4 * 5 + 5 * 1  # multiplications for one row
    d_turn = 2 * g + 4 * d + 4 * (d + 5)
    g_turn = 2 * g + 2 * d + 2 * d + 2 * (g + 12)
    assert work(tiny).flops == 2 * (d_turn + g_turn)
    assert work(tiny.with_(generator_rate=0.0)).flops == 2 * d_turn
    size = parameters(tiny, "discriminator")
    assert size == 4 * 5 + 5 + 5 + 1
    moved = (2 * 2 + 6 + 2 * 3) + (2 * 3 + 12 + 2 * 4)  # G forward: input, weights, output of both layers
    both = (4 * 4 + 20 + 4 * 5) + (4 * 5 + 5 + 4 * 1)  # D on four rows
    assert work(tiny.with_(generator_rate=0.0)).bytes == 4 * (moved + 2 * both + (4 * 5 + 5 + 4 * 1) + 7 * size)


def test_two_updates_are_two_passes() -> None:
    operations = step(setting(schedule={"discriminator_turn": "two_updates"}, generator={"batch_norm": "after_activation"}))
    assert sum(o.kind == "update" and o.turn == "discriminator" for o in operations) == 2
    assert {o.rows for o in operations if o.kind != "update"} == {100}
    assert parameters(setting(generator={"batch_norm": "after_activation"}), "generator") == parameters(setting(), "generator") + 4 * 256


def test_the_floor_does_what_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    small = setting(noise={"dimension": 3}, generator={"hidden": [4, 5]}, discriminator={"hidden": [6, 7]}, train={"batch_size": 2})
    flops: list[int] = []
    counts: list[int] = []
    product = torch.mm

    def counted(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> None:
        flops.append(2 * a.shape[0] * a.shape[1] * b.shape[1])
        product(a, b, out=out)

    monkeypatch.setattr(torch, "mm", counted)
    monkeypatch.setattr(loops.floor, "works", lambda: False)  # torch's own products alone
    networks = {role: loops.floor.Flat(small, role) for role in ("generator", "discriminator")}  # type: ignore[arg-type]
    before = {role: network.flat.detach().clone() for role, network in networks.items()}
    with torch.no_grad():
        for operation in step(small):
            networks[operation.network].prepare(operation.rows or 1)
            calls = networks[operation.network].calls(operation)
            flops.clear()  # of the products by which it chose
            for call in calls:
                call()
            counts += flops
    assert len(counts) == work(small).products == 25
    assert sum(counts) == work(small).flops
    assert all(not torch.equal(before[role], network.flat) for role, network in networks.items())


def test_the_floor_takes_the_quicker_way(monkeypatch: pytest.MonkeyPatch) -> None:
    now, spent = [0.0], {"torch": 2.0, "onednn": 1.0}

    def way(name: str) -> Callable[[], object]:
        return lambda: now.__setitem__(0, now[0] + spent[name])

    monkeypatch.setattr(loops.floor.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(loops.floor, "works", lambda: True)
    torchs, onednns = way("torch"), way("onednn")
    assert loops.floor.quicker(torchs, onednns) is onednns
    spent["onednn"] = 3.0
    assert loops.floor.quicker(torchs, onednns) is torchs
    spent["onednn"] = 1.0
    monkeypatch.setattr(loops.floor, "works", lambda: False)
    assert loops.floor.quicker(torchs, onednns) is torchs


def test_other_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="only recipes of mlp networks"):
        work(setting(generator={"use": "dcgan"}))


# -- is the machine quiet? -----------------------------------------------------------------------------------------------


def test_share_of_others() -> None:
    assert share_of_others(worked=8.0, ours=5.0, seconds=10.0, cores=2) == pytest.approx(0.15)
    assert share_of_others(worked=5.0, ours=5.1, seconds=10.0, cores=2) == 0.0  # clocks tick
    assert share_of_others(worked=50.0, ours=0.0, seconds=10.0, cores=2) == 1.0


def test_complaints() -> None:
    assert complaints([100, 104, 109], [QUIET, Seen(0.05, 0.05)]) == []
    assert complaints([100, 104, 109], [QUIET, Seen(0.02, 0.31)]) == ["others took up to 2% of the cores before and 31% during it"]
    assert complaints([100, 104, 109], [Seen(0.06, 0.0)]) == ["others took up to 6% of the cores before and 0% during it"]
    assert complaints([100, 100, 120], [QUIET]) == ["rounds differ by 20%"]
    assert spread([90.0, 100.0, 110.0]) == pytest.approx(0.2)
    assert spread([90.0]) == 0.0


def test_load_average() -> None:
    assert load_complaint(0.5, 2) == ""
    assert load_complaint(0.6, 2) == "load average 0.6 on 2 cores before it began"


def test_it_looks_around() -> None:
    before = working_seconds()
    assert 0.0 <= look_around(0.05) <= 1.0
    assert working_seconds() > before - 1e-6 > 0  # a sum of floats


# -- rounds, tables and the page -----------------------------------------------------------------------------------------


def test_every_round_has_another_order() -> None:
    keys = ["a", "b", "c"]
    assert [order(keys, turn) for turn in range(4)] == [["a", "b", "c"], ["a", "c", "b"], ["c", "a", "b"], ["c", "b", "a"]]


def race(**changes: Any) -> Race:
    """Two rounds of three; the others are out."""
    found = Race(setting(**changes), [one for one in CONTESTANTS if one.device != "cuda"])
    found.outcomes = {"tutorial": [outcome(100), outcome(90)], "floor": [outcome(800), outcome(800)]}
    found.outcomes["ganlab"] = [outcome(400, peak=200 * MIB), outcome(450, generator=50)]
    found.why_not = dict.fromkeys(("torchgan", "lightning", "plain"), "skipped: it is not here | today")
    return found


def test_speed_table() -> None:
    lines = speed_table(race())
    assert lines[0] == "|  | steps/s | rounds | x tutorial's | of the floor | peak MiB | remarks |"
    assert lines[1] == "| --- | --: | --: | --: | --: | --: | --- |"
    assert lines[2] == "| the tutorial's loop | 95.0 | 90.0 to 100 | 1.00 | 0.12 | 100 | rounds differ by 11% |"
    assert lines[3] == "| torchgan's Trainer | - | - | - | - | - | skipped: it is not here / today |"
    # of the ratios 4 and 5 within the rounds the median, not 425 / 95
    assert lines[6] == "| ganlab run | 425 | 400 to 450 | 4.50 | 0.53 | 200 | rounds differ by 12% |"
    assert lines[-1].startswith("**The machine was not quiet** (see the remarks on the tutorial's loop, ganlab run)")


def test_updates_are_told_where_they_vary() -> None:
    assert not varies(setting())
    found = race(tricks=[{"use": "adaptive_generator_steps"}])
    assert varies(found.setting)
    assert speed_table(found)[-1] == (
        "Updates of the generator in a step: the tutorial's loop 1.00, the floor 1.00, ganlab run 0.75."
    )  # fmt: skip


def test_numbers() -> None:
    assert [number(value) for value in (None, 0.123, 9.876, 12.34, 123.4, 12345.6)] == ["-", "0.12", "9.88", "12.3", "123", "12,346"]


def test_page(tmp_path: Path) -> None:
    begin, end = marks("speed mnist_mlp")
    path = tmp_path / "page.md"
    path.write_text(f"# A\n\n{begin}\nold\n{end}\n\nB\n")
    write("speed mnist_mlp", ["new", *table(("", "x"), [["a", "1"]])], path)
    assert path.read_text() == f"# A\n\n{begin}\nnew\n|  | x |\n| --- | --: |\n| a | 1 |\n{end}\n\nB\n"
    for page in ("", begin, f"{end} {begin}", f"{begin} {end} {begin} {end}"):
        with pytest.raises(NoPlace, match=r"needs these two lines, once each and in this order"):
            written(page, "speed mnist_mlp", ["new"])


def test_added_is_a_share_of_the_bare_step() -> None:
    found = Race(setting(), rungs("mnist_mlp"))
    found.outcomes = {"bare": [outcome(100), outcome(200)], "whole": [outcome(80), outcome(200)]}
    assert added(found, "whole") == pytest.approx([0.25, 0.0])


def test_start_table() -> None:
    lines = start_table(setting(), {"bare": [(2.0, QUIET), (2.1, QUIET)], "ganlab": [(2.4, QUIET), (2.3, QUIET)]})
    assert lines[-1] == "| ganlab | 2.35 | 2.30 to 2.40 | 1.15 |  |"


# -- losses, memory, regimes, failures ---------------------------------------------------------------------------------


def test_losses_agree_within_the_bound() -> None:
    assert compare([1.04], [1.0]).agree  # one seed says nothing of the spread: five percent
    assert not compare([1.06], [1.0]).agree
    alike = compare([1.0, 1.2], [0.9, 1.1])  # variances 0.02: an error of sqrt(0.01 + 0.01)
    assert alike.bound == pytest.approx(4 * math.sqrt(0.02))
    assert compare([-1.5, -1.5], [-1.0, -1.0]).bound == pytest.approx(0.05)


def test_growth() -> None:
    climbing = [(500 + place // 10) * MIB for place in range(100)]
    found = growth(climbing)
    assert (found.level, found.grown, found.flat) == (502.5 * MIB, 6 * MIB, False)
    settled = [(100 + min(place, 20) * 20) * MIB for place in range(100)]  # a start is no growth
    assert growth(settled).flat
    assert math.isnan(growth(climbing[:49]).grown)


def test_regimes() -> None:
    peaks = Peaks(flops=100.0, bytes=10.0)
    assert regime(2.0, Work(1, 100.0, 5.0), peaks) == ("arithmetic", 0.5)
    assert regime(2.0, Work(1, 100.0, 15.0), peaks) == ("memory", 0.75)
    assert regime(4.0, Work(1, 100.0, 5.0), peaks) == ("overhead", 0.25)


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [
        (0, 'a warning\n{"skipped": "torchgan cannot be imported here"}\n', "skipped: torchgan cannot be imported here"),
        (1, "Traceback\nValueError: broken\n", "failed: ValueError: broken"),
        (-9, "", "failed: exit status -9"),
        (0, "nothing told\n", "failed: nothing told"),
    ],
)
def test_who_cannot_be_measured_says_why(code: int, said: str, why: str) -> None:
    with pytest.raises(Unable) as caught:
        account_of(Ended(code, said, 0.0, 0, QUIET))
    assert str(caught.value) == why
