"""Recorders of a device's work, which replay it later: CUDA graphs. Tests register another recorder for machines without a GPU."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

Work = Callable[[], list[Tensor]]  # reads and writes tensors at fixed addresses, and never reads a value on the CPU
Replay = Callable[[], None]

WARM_UPS = 3  # as many as torch.cuda.make_graphed_callables does before a capture


class PassRecorder(Protocol):
    """Records the work of one pass after another. Recordings of different passes may be replayed in any order."""

    def __init__(self, device: torch.device) -> None: ...

    def begin(self) -> None:
        """Begin a new pass. Its forward and backward work are recorded next, and replayed in that order."""

    def warm_up(self, work: Callable[[], object]) -> None:
        """Do the work before it is recorded, so that libraries initialize what they create at their first call.

        Raises:
            RuntimeError: the work reads a value on the CPU.
        """

    def record(self, work: Work) -> tuple[list[Tensor], Replay]:
        """Record the work. Returns its results, whose addresses never change, and a function that replays it.

        Raises:
            RuntimeError: the work cannot be recorded.
        """


class CudaRecorder:
    """CUDA graphs (https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-graphs), recorded by torch.

    Each pass has its own memory pool. Graphs that share a pool must be replayed in the order of their recording, but turns come in any
    order. Torch gives each replay the current seed and offset of the default generator, so a replay draws the same numbers as the pass
    itself would draw after the same seed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.pool: Any = None

    def begin(self) -> None:
        """Create a memory pool for the next recordings."""
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Callable[[], object]) -> None:
        """Do the work on the recording stream, as torch requires before a capture. In the last round, waiting for the GPU is an error."""
        with torch.cuda.device(self.device):
            torch.cuda.synchronize()
            with torch.cuda.stream(self.stream):
                for number in range(WARM_UPS):
                    with _waits_are_errors() if number == WARM_UPS - 1 else contextlib.nullcontext():
                        work()
            torch.cuda.synchronize()

    def record(self, work: Work) -> tuple[list[Tensor], Replay]:
        """Record a graph of the work. Other threads may use the device meanwhile."""
        graph = torch.cuda.CUDAGraph()
        recording = torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local")
        # If a recording fails, older versions of PyTorch stay on its stream: the outer context always restores the previous stream.
        with torch.cuda.device(self.device), torch.cuda.stream(torch.cuda.current_stream(self.device)), recording:
            results = work()
        return results, graph.replay


@contextlib.contextmanager
def _waits_are_errors() -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that this mode is a prototype
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)


RECORDERS: dict[str, type[PassRecorder]] = {"cuda": CudaRecorder}
