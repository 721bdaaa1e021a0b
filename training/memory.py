"""Running out of memory: work is repeated with fewer windows at once, or ends with one line."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from training.errors import OutOfMemory

T = TypeVar("T")
# What torch says in a plain RuntimeError: of the CPU, of CUDA outside of its allocator, of cuBLAS.
SIGNS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "STATUS_ALLOC_FAILED",
    "could not create a primitive",  # oneDNN, mostly for lack of memory
)
WHAT_HELPS = (
    "use a smaller --batch-size, with --accumulate N: half the batch size and twice the N give the "
    "same result"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the CPU or on a GPU."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


@contextmanager
def naming_out_of_memory(advice: str = WHAT_HELPS) -> Iterator[None]:
    """Raise `OutOfMemory` with the advice if memory runs out in the block."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"out of memory: {advice}") from error
        raise


class Memory:
    """How many windows are computed at once: half as many each time that memory runs out."""

    def __init__(self, windows: int, say: Callable[[str], None]) -> None:
        self.windows = windows
        self.say = say

    def run(
        self, work: Callable[[int], T], again: Callable[[int], str], *, alone: bool = True
    ) -> T:
        """`work(windows)`, repeated with half as many windows until memory suffices.

        `again` is what is repeated, for a line about it. Raises `OutOfMemory` with one window, or
        if the process is not `alone`: the others already share the results of this attempt.
        """
        while True:
            try:
                return work(self.windows)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if self.windows == 1 or not alone:
                    raise OutOfMemory(self._advice()) from error
            # After the handler: the traceback keeps what the attempt has allocated.
            self.windows = (self.windows + 1) // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self.say(f"out of memory: {again(self.windows)}")

    def _advice(self) -> str:
        if self.windows == 1:
            return (
                "out of memory even with one window at once, where no smaller --batch-size and no "
                "--accumulate N helps: close other programs, or use a smaller --model"
            )
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        return (
            f"out of memory with {self.windows} windows at once in each of {processes} processes: "
            f"{WHAT_HELPS}"
        )
