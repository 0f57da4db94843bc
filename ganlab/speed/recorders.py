"""What records work of a device and replays it: CUDA graphs. Tests have another, for machines without a GPU."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

Work = Callable[[], list[Tensor]]  # from tensors at fixed places to tensors at fixed places, without looking at a value
Replay = Callable[[], None]

WARM_UPS = 3  # as torch.cuda.make_graphed_callables does before a capture


class Recorder(Protocol):
    """Records work of one pass after another. What has been recorded for different passes may be replayed in any order."""

    def __init__(self, device: torch.device) -> None: ...

    def begin(self) -> None:
        """A new pass: its forward and its backward work come next, and are replayed in that order."""

    def try_out(self, work: Callable[[], object]) -> None:
        """Do the work as it will be when it is recorded, so that libraries make what they make at the first call.

        Raises:
            RuntimeError: the host looks at a value.
        """

    def record(self, work: Work) -> tuple[list[Tensor], Replay]:
        """Record the work: its results, whose places stay the same, and what does it again.

        Raises:
            RuntimeError: that cannot be recorded.
        """


class CudaRecorder:
    """CUDA graphs (https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-graphs) by way of torch.

    Each pass has a pool of memory of its own: graphs that share one may be replayed in the order of their recording only, and turns
    come in any order. Torch tells a graph at each replay which seed and offset its generator has, so that a pass that is seeded before
    it is replayed draws what it would draw otherwise.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.pool: Any = None

    def begin(self) -> None:
        """A pool of memory for what comes."""
        self.pool = torch.cuda.graph_pool_handle()

    def try_out(self, work: Callable[[], object]) -> None:
        """On the stream of recordings, as torch wants it before a capture; the last time, what waits for the device is an error."""
        with torch.cuda.device(self.device):
            torch.cuda.synchronize()
            with torch.cuda.stream(self.stream):
                for number in range(WARM_UPS):
                    with _waits_are_errors() if number == WARM_UPS - 1 else contextlib.nullcontext():
                        work()
            torch.cuda.synchronize()

    def record(self, work: Work) -> tuple[list[Tensor], Replay]:
        """A graph of it. Other threads may go on using the device meanwhile."""
        graph = torch.cuda.CUDAGraph()
        recording = torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local")
        # Older versions of PyTorch stay on the recording's stream if it fails: the one before is put back here, whatever happens.
        with torch.cuda.device(self.device), torch.cuda.stream(torch.cuda.current_stream(self.device)), recording:
            results = work()
        return results, graph.replay


@contextlib.contextmanager
def _waits_are_errors() -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is a prototype
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)


RECORDERS: dict[str, type[Recorder]] = {"cuda": CudaRecorder}
