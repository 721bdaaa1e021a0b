"""A checkpoint on a device: waveforms in, probabilities out.

`find.find_model` reads only JSON files and needs no torch, so a run with nothing to predict never
imports it; `load_model` loads the weights onto a device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tagger.models.checkpoint import ModelInfo
from tagger.models.device import (
    Copies,
    PendingProbabilities,
    choose_batch,
    choose_device,
    choose_precision,
    count_cores,
    out_of_memory,
    run_in_parts,
    try_device,
)
from tagger.types import PredictOptions

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor


class GenreModel:
    """An AST classifier on a device: waveforms in, probabilities out.

    `batch_size` is how many windows go through the network at once; the default depends on the
    device. It is halved when a GPU's memory cannot hold that many, and `say` gets a line about it.
    """

    def __init__(
        self,
        info: ModelInfo,
        device: torch.device,
        dtype: torch.dtype,
        batch_size: int | None = None,
        say: Callable[[str], None] = lambda message: None,
    ) -> None:
        import numpy as np

        from tagger.models.fbank import Fbank
        from tagger.models.network import Network
        from tagger.models.weights import load_network

        self.info = info
        self.device = device
        self.dtype = dtype
        self._say = say
        self._copies = Copies(device)
        self._fbank = Fbank(info.front_end).to(device)
        self._network = Network(load_network(info)).to(device=device, dtype=dtype).eval()
        self.batch_size = batch_size or 1  # 1 for the trial below
        if batch_size is None:
            window = np.zeros((1, info.front_end.window_samples), np.float32)
            tokens, trial = self._network.tokens, lambda: self.probabilities(window)
            self.batch_size = choose_batch(device, tokens, trial)

    def probabilities(self, waveforms: NDArray[np.float32] | Tensor) -> NDArray[np.float32]:
        """`(batch, samples)` at the model's rate to `(batch, labels)`, float32.

        The logits, divided by the checkpoint's temperature (Guo et al. 2017), go through a softmax
        over the labels, or a sigmoid each if the checkpoint is multi-label. Raises as `start` does.
        """
        return self.start(waveforms).result()

    def start(self, waveforms: NDArray[np.float32] | Tensor) -> PendingProbabilities:
        """Like `probabilities`, but without waiting for a GPU; a CPU is done when this returns.

        A GPU copies pinned memory in the background: a pinned tensor must not change before the
        result is ready. Raises `DeviceError` if not even one window fits in a GPU's memory.
        """
        import torch

        parts, size = run_in_parts(self._score, torch.as_tensor(waveforms), self.batch_size)
        if size < self.batch_size:
            self._say(
                f"the memory of {self.device} cannot hold {self.batch_size} windows at once; "
                f"continuing with {size}"
            )
            self.batch_size = size
        return PendingProbabilities(torch.cat(parts))

    def _score(self, waveforms: Tensor) -> Tensor:
        import torch

        with torch.inference_mode():
            batch = self._copies.send(waveforms)  # (batch, samples)
            features = self._fbank(batch).to(self.dtype)  # (batch, frames, mel_bins)
            logits = self._network(features).float() / self.info.temperature  # (batch, labels)
            scores: Tensor = logits.sigmoid() if self.info.multi_label else logits.softmax(dim=-1)
            return scores

    @property
    def precision(self) -> str:
        """The type that the network computes in: "float32", "bfloat16" or "float16"."""
        return str(self.dtype).removeprefix("torch.")


def load_model(
    info: ModelInfo,
    options: PredictOptions,
    say: Callable[[str], None] = lambda message: None,
) -> GenreModel:
    """Load a checkpoint onto the device and in the precision of the options.

    Raises `CheckpointError` for weights that are damaged or do not fit, `DeviceError` if device,
    precision or memory are not available.
    """
    import torch

    device = choose_device(options.device, say)
    try_device(device)
    # By default torch uses all cores of the machine, even those that a container may not use.
    torch.set_num_threads(min(torch.get_num_threads(), count_cores()))
    try:
        precision = choose_precision(options.precision, device)
        return GenreModel(info, device, precision, options.batch_size, say)
    except torch.OutOfMemoryError as error:
        raise out_of_memory() from error
