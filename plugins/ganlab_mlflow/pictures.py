"""The pictures of a run in MLflow: each is there once, with both of its files, whatever upload was cut off."""

from __future__ import annotations

import contextlib
import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ganlab_mlflow import describe
from ganlab_mlflow.state import ARTIFACTS, Position
from ganlab_mlflow.tail import milliseconds, new_lines

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from PIL.Image import Image

FILES = 2  # of a picture: a PNG and a smaller WebP, which MLflow uploads one after the other
NAME_LENGTH = 150  # of a picture: its file's name in MLflow has 100 characters more, of 255


class Pictures:
    """Sends the pictures of one run.

    An upload whose answer was lost, and one before the mirror was killed, may have arrived: what MLflow has decides what is sent.

    Args:
        client: of MLflow. run_id: the run in MLflow.
        run: the run's folder.
    """

    def __init__(self, client: MlflowClient, run_id: str, run: Path) -> None:
        self.client, self.run_id = client, run_id
        self.sent = _sent_pictures(client, run_id)
        self.first_times = _first_times(run)

    def send(self, path: Path, name: str, step: int, line: dict[str, Any]) -> None:
        """Send a picture, unless it is there. Its names in MLflow follow from its content, so a second upload replaces the first."""
        key, picture = describe.key(name[:NAME_LENGTH]).replace(":", "_"), _mark(line)
        time = self.first_times.setdefault(picture, milliseconds(line))
        there = self.sent.get((key, str(step), str(time)), {})
        if any(len(files) >= FILES for files in there.values()):
            return
        # An upload of version 0.1 has a random identity. If only one of its files arrived, the second gets the same one.
        identity = next(iter(there), str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([key, step, *picture]))))
        with unless_it_is_gone(path):
            image = _decoded(path.read_bytes())
            if image is not None:
                with _identity(identity):
                    self.client.log_image(self.run_id, image, key=key, step=step, timestamp=time, synchronous=True)


def _sent_pictures(client: MlflowClient, run_id: str) -> dict[tuple[str, str, str], dict[str, set[str]]]:
    """The run's pictures in MLflow: the endings of their files, by identity, by key, step and time."""
    found: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for file in client.list_artifacts(run_id, "images"):
        path = Path(file.path)
        parts = path.stem.replace("%", "+").split("+")  # the separator of older versions
        if len(parts) > 5:
            picture = found.setdefault((parts[0].replace("~", "/").replace("#", "/"), parts[2], parts[4]), {})
            picture.setdefault(parts[5], set()).add(path.suffix)
    return found


@contextlib.contextmanager
def _identity(identity: str) -> Iterator[None]:
    """Let MLflow name a picture's files after ``identity``. It would draw a random one for each upload."""
    from mlflow.tracking import client

    drawn = client.uuid
    client.uuid = SimpleNamespace(uuid4=lambda: identity)
    try:
        yield
    finally:
        client.uuid = drawn


def _mark(line: dict[str, Any]) -> tuple[Any, ...]:
    """The identity of a picture in the list of artifacts."""
    return tuple(line.get(key) for key in ("kind", "name", "step", "sha256"))


def _first_times(run: Path) -> dict[tuple[Any, ...], int]:
    """When each picture was made first, in milliseconds. A resumed run makes some pictures again, and lists them again."""
    times: dict[tuple[Any, ...], int] = {}
    for line in new_lines(run / ARTIFACTS, Position()):
        times.setdefault(_mark(line.content), milliseconds(line.content))
    return times


def _decoded(content: bytes) -> Image | None:
    """The picture in a file; None if the file is damaged, which trying again would not mend."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(content))
        image.load()
        return image
    except Exception:  # Pillow raises many types
        return None


@contextlib.contextmanager
def unless_it_is_gone(path: Path) -> Iterator[None]:
    """Ignore an error if the run has removed the file meanwhile: an old checkpoint, or files after the checkpoint it returned to."""
    try:
        yield
    except Exception:  # each store raises its own type
        if path.exists():
            raise
