"""Which digits does a generator make, and how many of each?

    python benchmarks/digit_coverage.py runs/RUN ...

Labels samples of each run's generator with a scikit-learn classifier (a multi-layer perceptron) that is trained on the real MNIST
training images first, about a minute; its accuracy on the real test images is printed and must be 97 % or better.
MNIST is read from ``--data-root``, else ``GANLAB_DATA``, and must be there.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier

import ganlab
from ganlab.catalogue import Catalogue
from ganlab.components import DatasetSpec, ResidentDataset

WANTED_ACCURACY = 0.97
WANTED_SHARE = 0.01


def load(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Real MNIST: float32 ``(count, 784)`` in [-1, 1], and labels ``(count,)``."""
    entry = Catalogue.of_installed().find("dataset", "mnist")
    assert entry is not None
    data = entry.factory(DatasetSpec(root, seed=0, download=False), split=split)
    assert isinstance(data, ResidentDataset)
    assert data.labels is not None
    data.place(torch.device("cpu"), torch.float32)
    return data.fetch(torch.arange(len(data))).images.flatten(1).numpy(), data.labels.numpy()


def train_classifier(root: Path) -> tuple[MLPClassifier, float]:
    """A classifier of real digits, and its accuracy on the real test images."""
    images, labels = load(root, "train")
    classifier = MLPClassifier((256,), batch_size=256, max_iter=12, n_iter_no_change=50, random_state=0)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is stopped after 12 passes on purpose
        classifier.fit(images, labels)
    return classifier, float(classifier.score(*load(root, "test")))


def main() -> None:
    """Measure the runs that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs, or generator.safetensors files")
    parser.add_argument("--count", type=int, default=10_000, help="samples of each generator")
    parser.add_argument("--seed", type=int, default=1, help="of the samples' noise")
    parser.add_argument("--data-root", type=Path, default=os.environ.get("GANLAB_DATA"))
    options = parser.parse_args()
    if options.data_root is None:
        parser.error("name the folder that holds MNIST/raw with --data-root, or set GANLAB_DATA")
    classifier, accuracy = train_classifier(Path(options.data_root))
    print(f"classifier: {accuracy:.2%} of the real test images right (wanted: {WANTED_ACCURACY:.0%})")
    for path in options.runs:
        generator = ganlab.load_generator(path)
        samples = generator.sample(options.count, options.seed).flatten(1).clamp(-1, 1).numpy()
        shares = np.bincount(classifier.predict(samples), minlength=10) / len(samples)
        present = int((shares >= WANTED_SHARE).sum())
        divergence = float(sum(share * np.log(share * 10) for share in shares if share))
        step = generator.info["step"]
        print(f"{path} (step {step:,}): {present} of 10 digits have at least {WANTED_SHARE:.0%}; KL to even shares {divergence:.3f}")
        print("  " + "  ".join(f"{digit}: {share:.1%}" for digit, share in enumerate(shares)))


if __name__ == "__main__":
    main()
