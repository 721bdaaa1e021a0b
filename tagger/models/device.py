"""Where the model runs: on which device, in which precision, and how many windows at once."""

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

CUDA_BATCH = 64  # windows; with AST base, an H200 is no faster with more, and as fast with 16
FREE_SHARE = 0.8  # of a GPU's free memory; the rest is for fragmentation and other programs
# CPU time that a container may use in a period: "max 100000" or "150000 100000", microseconds.
QUOTA_V2 = Path("/sys/fs/cgroup/cpu.max")
QUOTA_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
# Paths of an NVIDIA GPU with a driver on Linux; on other systems only nvidia-smi shows it.
NVIDIA = ("/dev/nvidia[0-9]*", "/proc/driver/nvidia/gpus/*")
HIDING = ("", "-1")  # values of CUDA_VISIBLE_DEVICES that hide all GPUs
GET_TORCH = "https://pytorch.org/get-started/locally"
CPU_TOKENS = 2048  # in a batch: the layers' activations stay in the processor's cache


def choose_device(name: str, say: Callable[[str], None] = lambda message: None) -> torch.device:
    """`auto` is the first of cuda, mps and cpu that is available.

    Raises `DeviceError` for any other device that is not available: a device that the user chose is
    never silently replaced. If `auto` skips an NVIDIA GPU that torch cannot use, `say` gets the
    reason.
    """
    import torch

    if name == "cpu":
        return torch.device(name)
    cuda, trouble = look_for_cuda()
    available = {"cuda": cuda, "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, usable in available.items() if usable)
        if trouble:
            say(f"the NVIDIA GPU is not used: {trouble}; running on {name}")
    if not available.get(name.split(":")[0]):
        reason = f": {trouble}" if trouble and name.startswith("cuda") else ""
        raise DeviceError(
            f"device {name} is not available to torch {torch.__version__}{reason}; "
            "use --device cpu, or install a build of torch for it"
        )
    return torch.device(name)


def look_for_cuda() -> tuple[bool, str]:
    """Whether torch can use CUDA, and why not: "" if there is no NVIDIA GPU, or it is hidden.

    It computes nothing, so it uses no memory of a GPU.
    """
    import torch

    evidence, reason = find_nvidia(), "it finds none"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if torch.cuda.is_available():
                return True, ""
            if evidence:
                torch.cuda.init()  # type: ignore[no-untyped-call]  # its error may give the reason
        except Exception as error:  # whatever driver and libraries raise
            reason = first_line(error)
    if not evidence or os.environ.get("CUDA_VISIBLE_DEVICES") in HIDING:
        return False, ""
    if caught:
        reason = first_line(caught[0].message)
    version = f"torch {torch.__version__}"
    if torch.version.cuda is None:
        return False, f"{evidence} is here, but {version} is built without CUDA (see {GET_TORCH})"
    if evidence.startswith("/proc"):  # the host's, visible inside a container as well
        reason = "there is no /dev/nvidia0; give the container access to it (docker: --gpus all)"
    return False, f"{evidence} is here, but {version} for CUDA {torch.version.cuda} says: {reason}"


def find_nvidia() -> str:
    """A path that shows that this machine has an NVIDIA GPU with a driver; "" if there is none."""
    found = (path for pattern in NVIDIA for path in sorted(glob(pattern)))
    return next(found, None) or shutil.which("nvidia-smi") or ""


def try_device(device: torch.device) -> None:
    """Compute something tiny. Raises `DeviceError` if a device that torch finds cannot compute.

    A build of torch may have no code for a GPU. A GPU without free memory passes.
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
    """What makes bfloat16 fast on it: "AMX", "AVX512-BF16" or "the GPU"; "" if nothing does."""
    import torch

    if device.type == "cuda":
        return "the GPU" if torch.cuda.is_bf16_supported(including_emulation=False) else ""
    if device.type != "cpu":
        return ""
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX512-BF16" if torch.cpu._is_avx512_bf16_supported() else ""


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the hardware multiplies it fast (`fast_bfloat16`).

    Elsewhere it is float32; on CUDA GPUs older than bfloat16, float16.
    """
    import torch

    if name != "auto":
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    if fast_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else torch.float32


def choose_batch(device: torch.device, tokens: int, forward: Callable[[], object]) -> int:
    """How many windows of `tokens` tokens go through the network at once, at least one.

    On a GPU it depends on the free memory, and on the memory that `forward` uses for one window.
    """
    if device.type != "cuda":
        return max(1, round(CPU_TOKENS / tokens))
    import torch

    forward()  # libraries allocate memory of their own the first time
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    forward()
    cost = torch.cuda.max_memory_allocated(device) - before
    return windows_that_fit(torch.cuda.mem_get_info(device)[0], cost)


def windows_that_fit(free: int, cost: int) -> int:
    """How many windows of `cost` bytes fit in `free` bytes, at least one."""
    return max(1, min(CUDA_BATCH, int(FREE_SHARE * free) // max(1, cost)))


def out_of_memory() -> DeviceError:
    """The error for a GPU without enough memory for the model and one window."""
    return DeviceError(
        "the GPU's free memory does not hold the model and one window: close other programs that "
        "use it, or use --device cpu"
    )


def run_in_parts(
    run: Callable[[Tensor], Tensor], batch: Tensor, size: int
) -> tuple[list[Tensor], int]:
    """The results of `run` on a batch, `size` rows at a time, and the final size.

    The size is halved while a GPU's memory cannot hold that many rows. Raises `DeviceError` if it
    cannot hold one.
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
    """Copies batches to a device; a GPU computes meanwhile."""

    def __init__(self, device: torch.device) -> None:
        import torch

        self.device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(self, batch: Tensor) -> Tensor:
        """The batch on the device. For a GPU it must not change before its result is ready."""
        if self._stream is None:
            return batch.to(self.device)
        import torch

        with torch.cuda.stream(self._stream):
            copy = batch.pin_memory().to(self.device, non_blocking=True)
        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(self._stream)
        copy.record_stream(computing)
        return copy


class PendingProbabilities:
    """Probabilities `(batch, labels)` that a device may still be computing."""

    def __init__(self, scores: Tensor) -> None:
        import torch

        self._done: torch.cuda.Event | None = None
        if scores.device.type == "cuda":
            computing = torch.cuda.current_stream(scores.device)
            # Copy now: a later copy would wait for batches that are started in between.
            here = torch.empty(scores.shape, dtype=scores.dtype, pin_memory=True)
            scores = here.copy_(scores, non_blocking=True)
            self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._done.record(computing)
        self._scores = scores

    def result(self) -> NDArray[np.float32]:
        """Wait for them: `(batch, labels)`, float32."""
        if self._done is not None:
            self._done.synchronize()
        return self._scores.cpu().numpy()


def count_cores() -> int:
    """How many cores this process may use, given its affinity and its container's quota."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    with suppress(OSError, ValueError, ZeroDivisionError):  # no container, or no quota ("max")
        files = [QUOTA_V2] if QUOTA_V2.exists() else QUOTA_V1
        quota, period = " ".join(file.read_text() for file in files).split()
        if int(quota) > 0:
            cores = min(cores, ceil(int(quota) / int(period)))
    return cores
