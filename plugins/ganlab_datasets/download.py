"""Downloads the data sets that torchvision knows, from torchvision's mirrors, with its md5 sums and into its folders."""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import requests
import urllib3
from filelock import FileLock, Timeout

WAITING = 600.0  # seconds that another process may take for the same download
CHUNK = 2**16  # bytes
REPORT = 5.0  # seconds between two messages about a download
GZIP = 16 + zlib.MAX_WBITS  # zlib's number for the format of .gz files
HEADERS = {"User-Agent": "pytorch/vision", "Accept-Encoding": "identity"}  # torchvision's own name, which all mirrors accept
log = logging.getLogger("ganlab.data")


class DownloadFailed(Exception):
    """Why a data set could not be downloaded, or a file not from one mirror. The text follows a colon."""


def download(dataset: str, root: Path, patience: float, complete: Callable[[], bool]) -> None:
    """Download a data set into ``root/<dataset>/raw``, unpacked, as torchvision does. Existing files are kept.

    Args:
        dataset: the name of torchvision's class.
        root: created if it does not exist.
        patience: seconds until some mirror must have answered, and later seconds without a byte after which a mirror is given up.
        complete: whether the data are there; called once this process has the lock, since another one may have downloaded them.

    Raises:
        DownloadFailed: no mirror has sent the files, or they cannot be written.
    """
    from torchvision import datasets  # takes 1.1 s

    source = getattr(datasets, dataset)
    reasons: dict[str, str] = {}
    mirrors = _from_first_answering(source.mirrors, source.resources[-1][0], patience, reasons)
    part = root / f".{dataset}.download"
    try:
        if mirrors:
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / f".{dataset}.lock", timeout=WAITING):
                try:
                    if complete() or _from_any(mirrors, source.resources, root / dataset / "raw", part, patience, reasons):
                        return
                finally:
                    part.unlink(missing_ok=True)
    except Timeout as error:
        raise DownloadFailed(f"another process has been downloading it for {WAITING:g} s (lock {root}/.{dataset}.lock)") from error
    except OSError as error:
        raise DownloadFailed(f"{root} cannot be written to ({error.strerror or error})") from error
    raise DownloadFailed(f"no mirror has sent it ({'; '.join(f'{mirror}: {why}' for mirror, why in reasons.items())})")


def _from_first_answering(mirrors: Sequence[str], filename: str, patience: float, reasons: dict[str, str]) -> Sequence[str]:
    """The mirrors without those before the first that answers. All together have ``patience`` seconds; no lock is held meanwhile."""
    for number, mirror in enumerate(mirrors):
        try:
            _request(f"{mirror}{filename}", patience / len(mirrors)).close()
        except DownloadFailed as error:
            reasons[mirror] = str(error)
        else:
            return mirrors[number:]
    return []


def _from_any(
    mirrors: Sequence[str], resources: Sequence[tuple[str, str]], raw: Path, part: Path, patience: float, reasons: dict[str, str]
) -> bool:
    """Download the missing files from the first mirror that sends them. Returns whether all are there."""
    for mirror in mirrors:
        log.info("downloading %s from %s into %s", raw.parent.name, mirror, raw.parent.parent)
        try:
            for filename, md5 in resources:
                target = raw / filename.removesuffix(".gz")
                if not target.exists():
                    _fetch(f"{mirror}{filename}", md5, part, patience)
                    raw.mkdir(parents=True, exist_ok=True)
                    part.replace(target)
            return True
        except DownloadFailed as error:
            reasons[mirror] = str(error)
    return False


def _fetch(url: str, md5: str, part: Path, patience: float) -> None:
    """Download a .gz file and unpack it into ``part``."""
    received, next_report = 0, time.monotonic() + REPORT
    unpacker, digest = zlib.decompressobj(GZIP), hashlib.md5(usedforsecurity=False)
    with _request(url, patience) as response, part.open("wb") as file:
        try:
            for chunk in response.raw.stream(CHUNK, decode_content=False):  # a server may call the file an encoding of its content
                digest.update(chunk)
                file.write(unpacker.decompress(chunk))
                received += len(chunk)
                if time.monotonic() > next_report:
                    log.info("%s: %.1f MB received", url.rpartition("/")[2], received / 1e6)
                    next_report = time.monotonic() + REPORT
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise DownloadFailed(_reason(error, patience)) from error
        except zlib.error as error:
            raise DownloadFailed(f"{url.rpartition('/')[2]} is not a .gz file (a login page?)") from error
    if digest.hexdigest() != md5:
        raise DownloadFailed(f"{url.rpartition('/')[2]} has the md5 sum {digest.hexdigest()}, not {md5}")


def _request(url: str, seconds: float) -> requests.Response:
    """Request a file. The body of the response is not read yet; reading raises an exception after ``seconds`` without a byte.

    A thread waits for the response, since no time limit of a socket covers the resolution of a name, or headers that come byte by byte.
    """
    responses: queue.SimpleQueue[requests.Response | Exception] = queue.SimpleQueue()

    def get() -> None:
        try:
            responses.put(requests.get(url, headers=HEADERS, stream=True, timeout=seconds))
        except Exception as error:
            responses.put(error)

    threading.Thread(target=get, name=f"download {url}", daemon=True).start()
    try:
        response = responses.get(timeout=seconds)
    except queue.Empty:
        response = TimeoutError()
    if isinstance(response, Exception):
        raise DownloadFailed(_reason(response, seconds)) from response
    if response.status_code != requests.codes.ok:
        response.close()
        raise DownloadFailed(f"HTTP {response.status_code} {response.reason}")
    return response


def _reason(error: BaseException, seconds: float) -> str:
    """The operating system's words for an error, which is the innermost of those that requests and urllib3 raise."""
    while error.__context__ is not None:
        error = error.__context__
    if isinstance(error, TimeoutError):
        return f"no bytes arrived for {round(seconds, 1):g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
