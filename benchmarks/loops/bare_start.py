"""A bare script: it imports torch, loads the data, and could begin to train. It tells when that was."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from support.setting import Setting

from loops.common import begin


def load(setting: Setting) -> torch.Tensor:
    """MNIST's training images, as they lie on the disk."""
    path = Path(setting.data_root) / "MNIST" / "raw" / "train-images-idx3-ubyte"
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)[16:].view(-1, *setting.shape)


def main() -> None:
    images = load(begin())
    print(json.dumps({"ready": time.time(), "images": len(images)}), flush=True)


if __name__ == "__main__":
    main()
