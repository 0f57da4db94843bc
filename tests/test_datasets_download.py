"""Downloads end: with the data, or with a reason, on networks that refuse, lie, stall and say nothing."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from filelock import FileLock

import ganlab_datasets.download as download_module
from ganlab.components import DatasetSpec
from ganlab.errors import DataUnavailable
from ganlab_datasets import mnist
from ganlab_datasets.download import DownloadFailed, download

pytestmark = pytest.mark.timeout(120)  # what this file is about: nothing may hang


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def packed_files() -> dict[str, bytes]:
    """The four files of a set with 200 training and 20 test images of noise, which does not compress."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 28, 28))
    plain = {
        "train-images-idx3-ubyte": idx(noise),
        "train-labels-idx1-ubyte": idx(np.arange(200) % 10),
        "t10k-images-idx3-ubyte": idx(noise[:20]),
        "t10k-labels-idx1-ubyte": idx(np.arange(20) % 10),
    }
    return {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in plain.items()}


FILES = packed_files()
Answer = Callable[["Mirror", str], None]


class Mirror(BaseHTTPRequestHandler):
    """Answers as the server's ``answer`` says, and keeps the names asked for."""

    server: Server

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[1]
        self.server.asked.append(name)
        self.server.answer(self, name)

    def say(self, content: bytes, length: int | None = None, status: int = 200, encoding: str = "") -> None:
        self.send_response(status)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Be quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Mirror)
        self.answer, self.asked, self.over = answer, list[str](), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/mnist/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that closes the connection is no error."""


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    """Start servers that live as long as the test."""
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the system accepts for it
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mnist/"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def correct(request: Mirror, name: str) -> None:
    request.say(FILES[name])


def missing(request: Mirror, name: str) -> None:
    request.send_error(404, "Not Found")


def stalling(request: Mirror, name: str) -> None:
    """Sends small files, and half of the training images."""
    if name != "train-images-idx3-ubyte.gz":
        return request.say(FILES[name])
    request.say(FILES[name][:100_000], length=len(FILES[name]))
    request.wfile.flush()
    request.server.over.wait()


def corrupted(request: Mirror, name: str) -> None:
    request.say(gzip.compress(b"other data", mtime=0))


def truncated(request: Mirror, name: str) -> None:
    request.say(FILES[name][:-20], length=len(FILES[name]))
    request.close_connection = True


def use_mirrors(monkeypatch: pytest.MonkeyPatch, *mirrors: str) -> None:
    """Have torchvision's MNIST come from ``mirrors``, with the files of this test."""
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", list(mirrors))
    sums = [(name, hashlib.md5(content, usedforsecurity=False).hexdigest()) for name, content in FILES.items()]
    monkeypatch.setattr(MNIST, "resources", sums)


def refused(root: Path, patience: float = 0.5) -> str:
    """Try to get MNIST, which must be refused, leave nothing behind, and say all that may be done. Returns the reason."""
    with pytest.raises(DataUnavailable) as caught:
        mnist(DatasetSpec(root, seed=0), patience=patience)
    assert caught.value.hint == (
        f"Put train-images-idx3-ubyte and train-labels-idx1-ubyte (or their .gz) into {root}/MNIST/raw, name another folder with "
        "--data-root DIR or GANLAB_DATA, or train on data that needs no network: --set data.use=digits "
        "(a shipped recipe's [fallback] says what suits them)"
    )
    assert not root.is_dir() or [path.name for path in root.iterdir()] in ([], [".MNIST.lock"])
    start = f"MNIST is not in {root}/MNIST/raw and cannot be downloaded: "
    assert caught.value.message.startswith(start)
    return caught.value.message.removeprefix(start)


def test_check_does_not_use_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with pytest.raises(DataUnavailable) as caught:
        mnist(DatasetSpec(tmp_path, seed=0, download=False))
    assert str(caught.value) == (
        f"MNIST is not in {tmp_path}/MNIST/raw yet\n`ganlab run` downloads it where the network allows. Without the network, "
        f"put train-images-idx3-ubyte and train-labels-idx1-ubyte (or their .gz) into {tmp_path}/MNIST/raw, name another folder with "
        "--data-root DIR or GANLAB_DATA, or train on data that needs no network: --set data.use=digits "
        "(a shipped recipe's [fallback] says what suits them)"
    )


def test_a_server_that_accepts_and_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    use_mirrors(monkeypatch, silent)
    assert refused(tmp_path / "data", patience=0.2) == f"no mirror has sent it ({silent}: no bytes arrived for 0.2 s)"
    assert not (tmp_path / "data").exists()


def test_the_decision_takes_less_than_20_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All mirrors together get 15 s, which leaves 5 s for imports. The other tests show that each keeps to its share."""
    shares: list[float] = []

    def silent_mirror(url: str, seconds: float) -> None:
        shares.append(seconds)
        raise DownloadFailed("no")

    monkeypatch.setattr(download_module, "_request", silent_mirror)
    with pytest.raises(DataUnavailable):
        mnist(DatasetSpec(tmp_path, seed=0))
    assert shares == [7.5, 7.5]


def test_a_server_that_trickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server]) -> None:
    """Each byte of the headers comes in time for the socket's own time limit; the response does not."""

    def trickle(request: Mirror, name: str) -> None:
        while not request.server.over.wait(0.05):
            request.wfile.write(b"H")

    url = serve(trickle).url
    use_mirrors(monkeypatch, url)
    assert refused(tmp_path, patience=0.4) == f"no mirror has sent it ({url}: no bytes arrived for 0.4 s)"


def test_a_name_that_is_never_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def swallow(*arguments: object, **options: object) -> None:
        over.wait()
        raise socket.gaierror("too late")

    use_mirrors(monkeypatch, "http://mirror.invalid/mnist/")
    monkeypatch.setattr(socket, "getaddrinfo", swallow)
    try:
        assert refused(tmp_path, patience=0.2) == "no mirror has sent it (http://mirror.invalid/mnist/: no bytes arrived for 0.2 s)"
    finally:
        over.set()


def test_servers_that_send_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server]) -> None:
    gone, login = serve(missing).url, serve(lambda request, name: request.say(b"<html>Welcome! Please log in.</html>")).url
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    use_mirrors(monkeypatch, gone, login, closed)
    assert refused(tmp_path, patience=30) == (
        f"no mirror has sent it ({gone}: HTTP 404 Not Found; {login}: train-images-idx3-ubyte.gz is not a .gz file (a login page?); "
        f"{closed}: Connection refused)"
    )


def test_downloads_that_stall_or_are_not_torchvisions_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server]
) -> None:
    stalled, wrong, short = serve(stalling).url, serve(corrupted).url, serve(truncated).url
    use_mirrors(monkeypatch, stalled, wrong, short)
    name = "train-images-idx3-ubyte.gz"
    sums = [hashlib.md5(content, usedforsecurity=False).hexdigest() for content in (gzip.compress(b"other data", mtime=0), FILES[name])]
    assert refused(tmp_path, patience=1.5) == (
        f"no mirror has sent it ({stalled}: no bytes arrived for 1.5 s; {wrong}: {name} has the md5 sum {sums[0]}, not {sums[1]}; "
        f"{short}: IncompleteRead({len(FILES[name]) - 20} bytes read, 20 more expected))"
    )


def test_a_download_that_succeeds_is_never_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server], silent: str, caplog: pytest.LogCaptureFixture
) -> None:
    partial, server = serve(lambda request, name: correct(request, name) if "labels" in name else stalling(request, name)), serve(correct)
    use_mirrors(monkeypatch, silent, partial.url, server.url)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "t10k-labels-idx1-ubyte").write_bytes(b"the user's own")
    (tmp_path / ".MNIST.download").write_bytes(b"left by a process that was killed")
    (tmp_path / ".MNIST.part").mkdir()  # left by version 0.1
    with caplog.at_level(logging.INFO, "ganlab.data"):
        data = mnist(DatasetSpec(tmp_path, seed=0), patience=1.0)
    assert caplog.messages == [f"downloading MNIST from {mirror} into {tmp_path}" for mirror in (partial.url, server.url)]
    noise = np.random.default_rng(0).integers(0, 256, (200, 28, 28)).astype(np.uint8)
    assert torch.equal(data.images.squeeze(1), torch.from_numpy(noise))
    assert sorted(path.name for path in raw.iterdir()) == sorted(name.removesuffix(".gz") for name in FILES)
    assert (raw / "t10k-labels-idx1-ubyte").read_bytes() == b"the user's own"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".MNIST.lock", ".MNIST.part", "MNIST"]
    assert server.asked == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"]
    assert mnist(DatasetSpec(tmp_path, seed=0)).fingerprint() == data.fingerprint()
    assert len(server.asked) == 3


def test_a_server_that_calls_gzip_an_encoding_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server]
) -> None:
    use_mirrors(monkeypatch, serve(lambda request, name: request.say(FILES[name], encoding="gzip")).url)
    assert len(mnist(DatasetSpec(tmp_path, seed=0), patience=5.0)) == 200


def test_progress_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server], caplog: pytest.LogCaptureFixture
) -> None:
    use_mirrors(monkeypatch, serve(correct).url)
    monkeypatch.setattr("ganlab_datasets.download.REPORT", 0.0)
    with caplog.at_level(logging.INFO, "ganlab.data"):
        mnist(DatasetSpec(tmp_path, seed=0), patience=5.0)
    assert "train-images-idx3-ubyte.gz: 0.1 MB received" in caplog.messages


def test_a_proxy_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server]) -> None:
    server = serve(correct)
    monkeypatch.setenv("http_proxy", server.url)
    use_mirrors(monkeypatch, "http://mirror.invalid/mnist/")
    assert len(mnist(DatasetSpec(tmp_path, seed=0))) == 200
    assert server.asked == ["t10k-labels-idx1-ubyte.gz", *FILES]


def test_a_process_that_waited_for_another_does_not_download_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server]
) -> None:
    server = serve(correct)
    use_mirrors(monkeypatch, server.url)
    held: list[bool] = []

    def complete() -> bool:
        other = FileLock(tmp_path / ".MNIST.lock", is_singleton=False)
        try:
            other.acquire(timeout=0).lock.release()
        except TimeoutError:
            held.append(True)
        return True

    download("MNIST", tmp_path, 30.0, complete)
    assert held == [True]
    assert server.asked == ["t10k-labels-idx1-ubyte.gz"]


def test_another_process_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server]) -> None:
    use_mirrors(monkeypatch, serve(correct).url)
    monkeypatch.setattr(download_module, "WAITING", 0.1)
    with FileLock(tmp_path / ".MNIST.lock"):
        reason = refused(tmp_path)
    assert reason == f"another process has been downloading it for 0.1 s (lock {tmp_path}/.MNIST.lock)"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server]) -> None:
    use_mirrors(monkeypatch, serve(correct).url)
    root = tmp_path / "file" / "data"
    (tmp_path / "file").write_text("not a folder")
    assert refused(root) == f"{root} cannot be written to (Not a directory)"


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server]) -> None:
    class Full(io.BytesIO):
        def write(self, content: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    use_mirrors(monkeypatch, serve(correct).url)
    monkeypatch.setattr(Path, "open", lambda path, mode: Full())
    assert refused(tmp_path) == f"{tmp_path} cannot be written to (No space left on device)"


def test_an_interrupt_stops_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], Server]) -> None:
    def interrupt(*arguments: object) -> None:
        assert (tmp_path / ".MNIST.download").exists()
        raise KeyboardInterrupt

    use_mirrors(monkeypatch, serve(correct).url)
    monkeypatch.setattr("ganlab_datasets.download.zlib.decompressobj", lambda format: SimpleNamespace(decompress=interrupt))
    with pytest.raises(KeyboardInterrupt):
        mnist(DatasetSpec(tmp_path, seed=0))
    assert [path.name for path in tmp_path.iterdir()] == [".MNIST.lock"]
