"""A stand-in for MNIST in MNIST's own format, so that the tutorials' recipes run as they stand, and fast, wherever there is no MNIST."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from ganlab.components import DatasetSpec
from ganlab_datasets import digits


@pytest.fixture(scope="session")
def mnist_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of data sets: its MNIST is the 1,797 digits that scikit-learn carries."""
    root = tmp_path_factory.mktemp("data")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    data = digits(DatasetSpec(root, seed=0))
    assert data.labels is not None
    for name, values in (("images-idx3", data.images.squeeze(1).numpy()), ("labels-idx1", data.labels.numpy())):
        head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
        (raw / f"train-{name}-ubyte").write_bytes(head + values.astype(np.uint8).tobytes())
    return root
