"""Where the model runs: which device, in which numbers, and how many windows at once."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from glob import glob
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.errors import DeviceError, first_line

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

CUDA_BATCH = 64  # windows; an H200 is no faster with more of AST base, and with 16 as fast
FREE_SHARE = 0.8  # of a GPU's free memory; the rest is for what is cut in pieces, and for others
# What a container may use of a second: "max 100000" or "150000 100000", in microseconds.
QUOTA_V2 = Path("/sys/fs/cgroup/cpu.max")
QUOTA_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
# Where Linux shows a GPU of NVIDIA that has a driver; elsewhere only nvidia-smi does.
NVIDIA = ("/dev/nvidia[0-9]*", "/proc/driver/nvidia/gpus/*")
HIDING = ("", "-1")  # in CUDA_VISIBLE_DEVICES: somebody wants no GPU
GET_TORCH = "https://pytorch.org/get-started/locally"
CPU_TOKENS = 2048  # in a batch: what its layers pass on stays in the processor's cache


def choose_device(name: str, say: Callable[[str], None] = lambda message: None) -> torch.device:
    """`auto` is the first of cuda, mps and cpu that is here; any other must be here.

    Raises `DeviceError`: a device that was asked for is never silently replaced. Nor is, with
    `auto`, an NVIDIA GPU that torch cannot use: `say` is told why.
    """
    import torch

    if name == "cpu":
        return torch.device(name)
    cuda, trouble = look_for_cuda()
    here = {"cuda": cuda, "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, available in here.items() if available)
        if trouble:
            say(f"the NVIDIA GPU is not used: {trouble}; running on {name}")
    if not here.get(name.split(":")[0]):
        reason = f": {trouble}" if trouble and name.startswith("cuda") else ""
        raise DeviceError(
            f"device {name} is not available to torch {torch.__version__}{reason}; "
            "use --device cpu, or install a build of torch for it"
        )
    return torch.device(name)


def look_for_cuda() -> tuple[bool, str]:
    """Whether torch can use CUDA, and if not, why: "" where no NVIDIA GPU is here, or it is hidden.

    Nothing is computed, so that no memory of a GPU is taken.
    """
    import torch

    sign, told = sign_of_nvidia(), "it finds none"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if torch.cuda.is_available():
                return True, ""
            if sign:
                torch.cuda.init()  # type: ignore[no-untyped-call]  # says why, if no warning did
        except Exception as error:  # whatever driver and libraries say
            told = first_line(error)
    if not sign or os.environ.get("CUDA_VISIBLE_DEVICES") in HIDING:
        return False, ""
    if caught:
        told = first_line(caught[0].message)
    version = f"torch {torch.__version__}"
    if torch.version.cuda is None:
        return False, f"{sign} is here, but {version} is a build without CUDA (see {GET_TORCH})"
    if sign.startswith("/proc"):  # of the machine, not of the container
        told = "no /dev/nvidia0 is here; a container needs to be given it (docker: --gpus all)"
    return False, f"{sign} is here, but {version} for CUDA {torch.version.cuda} says: {told}"


def sign_of_nvidia() -> str:
    """What shows that the driver of an NVIDIA GPU is here; "" if nothing does."""
    found = (path for pattern in NVIDIA for path in sorted(glob(pattern)))
    return next(found, None) or shutil.which("nvidia-smi") or ""


def try_device(device: torch.device) -> None:
    """Compute something tiny. Raises `DeviceError` if a device that torch sees cannot.

    So it is with a GPU for which a build of torch has no code. One without free memory passes.
    """
    import torch

    try:
        torch.ones(2, 2, device=device).matmul(torch.ones(2, 2, device=device)).sum().item()
    except torch.OutOfMemoryError:
        return
    except RuntimeError as error:
        raise DeviceError(
            f"{device} cannot compute ({first_line(error)}); use --device cpu, or install a build "
            f"of torch for it (see {GET_TORCH})"
        ) from error


def fast_bfloat16(device: torch.device) -> str:
    """What multiplies bfloat16 fast there: "AMX", "AVX512-BF16" or "the GPU"; "" if nothing."""
    import torch

    if device.type == "cuda":
        return "the GPU" if torch.cuda.is_bf16_supported(including_emulation=False) else ""
    if device.type != "cpu":
        return ""
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX512-BF16" if torch.cpu._is_avx512_bf16_supported() else ""


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the hardware multiplies it fast, see `fast_bfloat16`.

    Elsewhere it is float32; on GPUs older than bfloat16, float16.
    """
    import torch

    if name != "auto":
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    if fast_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else torch.float32


def choose_batch(device: torch.device, tokens: int, forward: Callable[[], object]) -> int:
    """How many windows of `tokens` tokens go through the network at once, one at least.

    On a GPU it depends on the free memory, and on what `forward`, which runs one window, takes.
    """
    if device.type != "cuda":
        return max(1, round(CPU_TOKENS / tokens))
    import torch

    forward()  # libraries take memory of their own the first time
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    forward()
    cost = torch.cuda.max_memory_allocated(device) - before
    return fitting(torch.cuda.mem_get_info(device)[0], cost)


def fitting(free: int, cost: int) -> int:
    """How many windows of `cost` bytes fit in `free` bytes, one at least."""
    return max(1, min(CUDA_BATCH, int(FREE_SHARE * free) // max(1, cost)))


def out_of_memory() -> DeviceError:
    """What to raise where a GPU holds not even the model and one window."""
    return DeviceError(
        "the GPU's free memory does not hold the model and one window: end what else uses it, "
        "or use --device cpu"
    )


def run_in_parts(
    run: Callable[[Tensor], Tensor], batch: Tensor, size: int
) -> tuple[list[Tensor], int]:
    """What `run` makes of a batch, `size` rows at a time, and the size in the end.

    The size is halved while a GPU's memory does not hold so many; `DeviceError` if it does not hold
    one.
    """
    import torch

    parts: list[Tensor] = []
    while len(batch):
        part = batch[:size]
        try:
            parts.append(run(part))
        except torch.OutOfMemoryError as error:
            if len(part) == 1:
                raise out_of_memory() from error
            size = len(part) // 2
        else:
            batch = batch[len(part) :]
    return parts, size


class Copies:
    """Brings batches to a device; to a GPU beside what it computes."""

    def __init__(self, device: torch.device) -> None:
        import torch

        self.device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(self, batch: Tensor) -> Tensor:
        """The batch on the device. For a GPU it may not change before what comes of it is here."""
        if self._stream is None:
            return batch.to(self.device)
        import torch

        with torch.cuda.stream(self._stream):
            there = batch.pin_memory().to(self.device, non_blocking=True)
        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(self._stream)
        there.record_stream(computing)
        return there


class PendingProbabilities:
    """Probabilities `(batch, labels)` that a device may still be working out."""

    def __init__(self, scores: Tensor) -> None:
        import torch

        self._done: torch.cuda.Event | None = None
        if scores.device.type == "cuda":
            computing = torch.cuda.current_stream(scores.device)
            # Copied now: a later copy would wait for the batches that were started in between.
            here = torch.empty(scores.shape, dtype=scores.dtype, pin_memory=True)
            scores = here.copy_(scores, non_blocking=True)
            self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._done.record(computing)
        self._scores = scores

    def result(self) -> NDArray[np.float32]:
        """Wait for them. Float32."""
        if self._done is not None:
            self._done.synchronize()
        return self._scores.cpu().numpy()


def count_cores() -> int:
    """The cores that this process may use: those it is bound to, or the quota of its container."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    with suppress(OSError, ValueError, ZeroDivisionError):  # no container, or no quota ("max")
        files = [QUOTA_V2] if QUOTA_V2.exists() else QUOTA_V1
        quota, period = " ".join(file.read_text() for file in files).split()
        if int(quota) > 0:
            cores = min(cores, ceil(int(quota) / int(period)))
    return cores
