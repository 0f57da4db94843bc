"""Data sets of any size, made for the scaling tables: noise in MNIST's format, and a folder of images to stream."""

from __future__ import annotations

import os
import struct
from pathlib import Path

SIDE = 28
DISTINCT = 1000  # image files of their own; the others are further names of these: a file system has only so many inodes
CHUNK = 10_000  # images written at once


def planted_mnist(root: Path, count: int) -> Path:
    """``count`` images of noise, training and test, where ganlab and torchvision look for MNIST below ``root``, which is returned."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for stem, number in (("train", count), ("t10k", min(count, 1000))):
        with open(raw / f"{stem}-images-idx3-ubyte", "wb") as file:
            file.write(struct.pack(">IIII", 0x803, number, SIDE, SIDE))
            for first in range(0, number, CHUNK):
                file.write(os.urandom(min(CHUNK, number - first) * SIDE * SIDE))
        with open(raw / f"{stem}-labels-idx1-ubyte", "wb") as file:
            file.write(struct.pack(">II", 0x801, number) + bytes(place % 10 for place in range(number)))
    return root


def planted_folder(root: Path, count: int) -> Path:
    """A folder of ``count`` names of grey PNG files of noise, of which :data:`DISTINCT` differ."""
    from PIL import Image

    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = root / f"{number:07d}.png"
        if number < DISTINCT:
            Image.frombytes("L", (SIDE, SIDE), os.urandom(SIDE * SIDE)).save(path, compress_level=1)
        else:
            os.link(root / f"{number % DISTINCT:07d}.png", path)
    return root
