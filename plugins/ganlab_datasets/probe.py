"""Which mirrors have the data? Answered in a bounded time, whatever the network does.

A network may refuse, answer with something else (a login page), trickle, swallow every packet, or never resolve a name, which
no timeout of a socket covers. So each mirror is asked in a thread of its own, and the answers are waited for with a clock.
"""

from __future__ import annotations

import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

GZIP = b"\x1f\x8b"  # how a compressed file begins: the data, and not somebody's web page about them
GRACE = 1.0  # seconds that the others are still waited for when one mirror has answered
AGENT = "pytorch/vision"  # as torchvision calls itself, so that it will be given the same answer


def probe(mirrors: Sequence[str], filename: str, deadline: float, patience: float) -> dict[str, str]:
    """Ask all mirrors at once for the first bytes of ``filename``, a gzip file.

    Args:
        mirrors: addresses that ``filename`` is put behind. A proxy in the environment is used, as urllib does.
        filename: of a small file.
        deadline: when to stop waiting, on the clock of ``time.monotonic``.
        patience: how long that is for the words of the answer, in seconds.

    Returns:
        For each mirror why it cannot be used; an empty string where it can. In the mirrors' order.
    """
    answers: queue.Queue[tuple[str, str]] = queue.Queue()
    for mirror in mirrors:
        threading.Thread(target=_ask, args=(mirror, filename, patience, answers), name=f"probe {mirror}", daemon=True).start()
    found: dict[str, str] = {}
    while len(found) < len(mirrors):
        try:
            mirror, why = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[mirror] = why
        if not why:
            deadline = min(deadline, time.monotonic() + GRACE)
    silent = "slower than another" if "" in found.values() else f"no answer in {patience:g} s"
    return {mirror: found.get(mirror, silent) for mirror in mirrors}


def _ask(mirror: str, filename: str, patience: float, answers: queue.Queue[tuple[str, str]]) -> None:
    try:
        request = urllib.request.Request(f"{mirror}{filename}", headers={"User-Agent": AGENT})
        opener = urllib.request.build_opener()  # urlopen would keep the proxies of its first use for ever
        with opener.open(request, timeout=patience) as response:
            start = response.read(len(GZIP))
        answers.put((mirror, "" if start == GZIP else "it answers with something else than the data (a login page?)"))
    except Exception as error:  # whatever it is, it must reach the one who waits
        answers.put((mirror, _why(error, patience)))


def _why(error: Exception, patience: float) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"HTTP {error.code} {error.reason}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"no answer in {patience:g} s"
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
