"""The trick last_batch: what it logs and draws at the end of an epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from engine_support import Capture, hooked, trick
from PIL import Image

from ganlab.errors import UsageError
from ganlab.testing import play


@pytest.mark.parametrize("turn", ["two_passes", "two_updates"])
def test_it_reports_the_epochs_last_batch(turn: str, tmp_path: Path) -> None:
    capture, shown = Capture(), []
    watch = hooked(on_images=lambda step, name, path: shown.append((step, name, path)) if name == "last_batch" else None)
    given = [trick("last_batch", samples=5), "train.log_every=4", f"schedule.discriminator_turn={turn}"]
    run = play(capture, watch, steps=17, overrides=given, folder=tmp_path)
    assert run.steps_per_epoch == 8
    found = {step: metrics for step, metrics in capture.metrics if "last_batch/generator_loss" in metrics}
    assert list(found) == [8, 16]
    for step, metrics in found.items():
        last = [t for t in capture.of("discriminator") if t["step"] == step and t["fake_scores"] is not None][-1]
        assert metrics["last_batch/discriminator_loss"] == pytest.approx(last["loss"])
        assert metrics["last_batch/generator_loss"] == pytest.approx(torch.nn.functional.softplus(-last["fake_scores"]).mean().item())
    assert shown == [(step, "last_batch", run.path / "last_batches" / f"step_{step:09d}.png") for step in (8, 16)]
    with Image.open(shown[0][2]) as sheet:
        assert sheet.size == (320, 320)
    assert len(list((run.path / "samples").iterdir())) > 2  # they are other sheets


def test_it_draws_the_batchs_own_first_fakes(tmp_path: Path) -> None:
    capture = Capture()
    for tricks in ([trick("last_batch", samples=3)], [trick("packing"), trick("last_batch", samples=3)]):
        run = play(capture, steps=8, overrides=tricks, folder=tmp_path)
        (path,) = (run.path / "last_batches").iterdir()
        fakes = capture.of("discriminator")[-1]["fake"].reshape(-1, 2)[:3]
        with Image.open(path) as sheet:
            assert np.array_equal(np.asarray(sheet.convert("RGB")), run.dataset.picture(fakes))


def test_it_needs_logits() -> None:
    with pytest.raises(UsageError) as caught:
        play(overrides=[trick("last_batch"), 'loss={use="relativistic_bce"}'])
    assert str(caught.value).startswith("last_batch needs scores that are logits, and those of loss 'relativistic_bce'")
    assert str(caught.value).endswith("\nuse the loss bce, or remove last_batch")
