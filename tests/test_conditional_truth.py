"""A generator that takes labels is measured with those of the real samples: one that draws real images of its class is perfect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Plugin
from torch import Tensor, nn

import ganlab
from ganlab.evaluation import JudgeSpec, pictures
from ganlab.quality.real_samples import RealSamples
from ganlab.records.request import RunRequest
from ganlab.records.summaries import find_run
from ganlab.runs.evaluate import evaluate_run
from ganlab.runs.workspace import Workspace
from ganlab.testing import catalogue, play
from ganlab_datasets import digits

METRICS = ('metrics.class_histogram={use="class_histogram"}', 'metrics.classifier_score={use="classifier_score"}')


def first_party(**options: Any) -> ganlab.ResidentDataset:
    return digits(ganlab.DatasetSpec(Path("nowhere"), 0, False), **options)


def uneven(spec: ganlab.DatasetSpec) -> ganlab.ResidentDataset:
    """Of class c, 10 + 15 c images: 10 of the first, 145 of the last."""
    data = first_party()
    assert data.labels is not None
    kept = torch.cat([(data.labels == label).nonzero().squeeze(1)[: 10 + 15 * label] for label in range(10)])
    return ganlab.ResidentDataset(
        data.images[kept], data.labels[kept], scale=data.scale, offset=data.offset, range=data.range, class_names=data.class_names
    )


class Drawer(nn.Module):
    """Draws a real image of the class that it is asked for, which one the latent says; from the data ``source``."""

    source: ganlab.ResidentDataset

    def __init__(self, spec: ganlab.NetworkSpec) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        data = self.source
        assert data.labels is not None
        rows = [(data.labels == label).nonzero().squeeze(1) for label in range(len(data.class_names))]
        share = torch.special.ndtr(latent.detach()[:, 0]).clamp(max=0.999)
        chosen = [rows[label][int(u * len(rows[label]))] for label, u in zip(labels.tolist(), share, strict=True)]
        return data.fetch(torch.stack(chosen)).images.to(latent.dtype) + 0 * self.nothing


class Remembering:
    """Knows the class of every image of the data."""

    description, identity, classes = "remembers all", "a11", 10

    def __init__(self, spec: JudgeSpec) -> None:
        batch = spec.data.fetch(torch.arange(len(spec.data)))
        assert batch.labels is not None and len(spec.data.class_names) == self.classes
        self.known, self.labels = pictures(spec.data, batch.images).flatten(1), batch.labels

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def probabilities(self, images: Tensor) -> Tensor:
        return torch.eye(10)[self.labels[torch.cdist(images.flatten(1), self.known).argmin(1)]]


def measured(folder: Path, data: str, source: ganlab.ResidentDataset, *overrides: str) -> tuple[Path, ganlab.ResidentDataset, Plugin]:
    source.place(torch.device("cpu"), torch.float32)
    planted = type("Planted", (Drawer,), {"source": source})
    plugin = Plugin(networks={"drawer": planted}, judges={"remembering": Remembering}, datasets={"uneven": uneven})
    given = [f"data={data}", 'generator={use="drawer",optimizer={use="tiny"}}', 'judge={use="remembering"}', *METRICS, *overrides]
    run = play(folder=folder, steps=4, overrides=given, plugins=[plugin])
    return run.path, source, plugin


CASES = [
    ('{use="digits"}', lambda: first_party(), 10),
    ('{use="uneven"}', lambda: uneven(ganlab.DatasetSpec(Path("nowhere"), 0, False)), 10),
    ('{use="digits",classes=[2,7,9]}', lambda: first_party(classes=(2, 7, 9)), 3),
    ('{use="digits",classes=[7]}', lambda: first_party(classes=(7,)), 1),
]


@pytest.mark.parametrize(("data", "source", "classes"), CASES, ids=["all", "uneven", "some", "one"])
def test_a_perfect_conditional_generator_is_perfect(tmp_path: Path, data: str, source: Any, classes: int) -> None:
    """In training, at the end, and by ``ganlab evaluate``; with all samples and with some."""
    path, _, plugin = measured(tmp_path, data, source(), "evaluation.every=2", "evaluation.quick_samples=150")
    found = json.loads((path / "evaluation.json").read_text())
    assert (found["values"]["classes"], found["about"]["classes_of_real"]) == (classes, classes)
    assert found["values"]["class_kl"] == pytest.approx(0, abs=1e-12)
    quick = [line["metrics"] for line in map(json.loads, (path / "metrics.jsonl").read_text().splitlines())]
    values = [metrics["quality/class_kl"] for metrics in quick if "quality/class_kl" in metrics]
    assert len(values) == 2 and values == pytest.approx([0, 0], abs=1e-12)
    library = catalogue()
    library.add(plugin, "plugin0", "the test")
    again = evaluate_run(find_run(path.parent, path.name), library, Workspace(runs=path.parent), RunRequest(command="evaluate"))
    assert again.report.values == found["values"]


def test_with_classes_in_turn_it_would_not_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RealSamples, "labels", lambda self, count: torch.arange(count) % len(self.dataset.class_names))
    path, _, _ = measured(tmp_path, *CASES[1][:1], CASES[1][1]())
    assert json.loads((path / "evaluation.json").read_text())["values"]["class_kl"] > 0.1


def test_the_labels_have_the_law_of_the_data_and_are_in_turn_without_any(tmp_path: Path) -> None:
    data = uneven(ganlab.DatasetSpec(Path("nowhere"), 0, False))
    run = play(steps=1, overrides=['data={use="uneven"}'], plugins=[Plugin(datasets={"uneven": uneven})])
    found = run.evaluations.evaluator.real.labels(len(data))
    assert found is not None and data.labels is not None
    assert torch.equal(found.bincount(), data.labels.bincount())
    bare = ganlab.ResidentDataset(torch.zeros(7, 2), class_names=("a", "b", "c"))
    run.evaluations.evaluator.real.dataset = bare
    assert run.evaluations.evaluator.real.labels(5).tolist() == [0, 1, 2, 0, 1]  # type: ignore[union-attr]
