"""One string to a model: a bundled name, a folder saved by `save_pretrained`, or a hub id.

`find_model` reads only the JSON files and needs no torch, so that a run with nothing to predict
never imports it; `load_model` brings the weights onto a device.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tagger import checkpoint
from tagger.checkpoint import BUNDLED, ModelInfo
from tagger.device import (
    Copies,
    Scores,
    choose_batch,
    choose_device,
    choose_precision,
    count_cores,
    out_of_memory,
    run_in_parts,
)
from tagger.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

DEFAULT_MODEL = "gtzan-small"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
NUMBER = "[0-9]" * 5
# Nothing else is ever fetched: no pickled weights, no code, no file of another name.
HUB_FILES = [
    "config.json",
    "preprocessor_config.json",
    "model.safetensors",
    f"model-{NUMBER}-of-{NUMBER}.safetensors",
]
MULTI_LABEL = "multi_label_classification"


def find_model(name: str, say: Callable[[str], None] = lambda message: None) -> ModelInfo:
    """Find and check a checkpoint; a hub id is downloaded if the cache does not hold it.

    `say` is told before anything is downloaded. Raises `CheckpointError` with what to do.
    """
    folder = _find_folder(name, say)
    config = checkpoint.read_json(folder / "config.json", name)
    architecture = checkpoint.classifier(config, name)
    weights = checkpoint.weight_files(folder, name)
    features = checkpoint.read_json(folder / "preprocessor_config.json", name)
    try:
        front_end = checkpoint.front_end(features)
        labels, temperature = checkpoint.labels(config), checkpoint.temperature(config)
        sizes = checkpoint.settings(config)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{name} has an unusable config: {error}") from error
    frames, bins = sizes["max_length"], sizes["num_mel_bins"]
    if (front_end.frames, front_end.mel_bins) != (frames, bins):
        raise CheckpointError(
            f"{name} contradicts itself: its config wants {frames} x {bins} features, its "
            f"preprocessor_config gives {front_end.frames} x {front_end.mel_bins}"
        )
    checkpoint.check_size(sizes, weights, name)
    multi_label = config.get("problem_type") == MULTI_LABEL
    files = [folder / "config.json", folder / "preprocessor_config.json", *weights]
    try:
        fingerprint = checkpoint.fingerprint(files)
    except OSError as error:
        raise CheckpointError(f"{name} cannot be read: {error}") from error
    return ModelInfo(
        name, folder, labels, front_end, multi_label, fingerprint, architecture, temperature
    )


def _find_folder(name: str, say: Callable[[str], None]) -> Path:
    if name in (path.parent.name for path in BUNDLED.glob("*/config.json")):
        return BUNDLED / name
    if os.path.isdir(name):  # and no error if it is too long for a path
        return Path(name)
    if HUB_ID.fullmatch(name):
        return _download(name, say)
    bundled = ", ".join(sorted(path.parent.name for path in BUNDLED.glob("*/config.json")))
    raise CheckpointError(
        f"no model {name!r}: give a bundled one ({bundled}), a folder with config.json and "
        "model.safetensors, or a hub id such as MIT/ast-finetuned-audioset-10-10-0.4593"
    )


def _download(name: str, say: Callable[[str], None]) -> Path:
    """The folder of a hub model in huggingface_hub's cache, downloaded if need be."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            huggingface_hub.snapshot_download(name, allow_patterns=HUB_FILES, local_files_only=True)
        )
    except LocalEntryNotFoundError:
        say(f"downloading {name} from the Hugging Face hub")
    except ValueError as error:
        raise CheckpointError(f"{name} is no name of a model on the hub: {error}") from error
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=HUB_FILES))
    # OSError covers the refused and broken connections of every HTTP library the hub has used.
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{name} could not be downloaded; check the name and the network, or give a folder "
            f"({reason})"
        ) from error


class GenreModel:
    """An AST classifier on a device: waveforms in, probabilities out.

    `batch_size` is how many windows go through the network at once: the one asked for, else one
    that suits the device. It is halved when a GPU's memory does not hold them, which `say` is told.
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

        from tagger.fbank import Fbank
        from tagger.network import Network
        from tagger.weights import load_network

        self.info = info
        self.device = device
        self.dtype = dtype
        self._say = say
        self._copies = Copies(device)
        self._fbank = Fbank(info.front_end).to(device)
        self._network = Network(load_network(info)).to(device=device, dtype=dtype).eval()
        self.batch_size = batch_size or 1  # what is tried one by one below
        if batch_size is None:
            window = np.zeros((1, info.front_end.window_samples), np.float32)
            tokens, trial = self._network.tokens, lambda: self.probabilities(window)
            self.batch_size = choose_batch(device, tokens, trial)

    def probabilities(self, waveforms: NDArray[np.float32] | Tensor) -> NDArray[np.float32]:
        """`(batch, samples)` at the model's rate to `(batch, labels)`, float32.

        Softmax over the labels, or a sigmoid for each of a multi-label checkpoint, of the logits
        divided by the checkpoint's temperature. Raises as `start` does.
        """
        return self.start(waveforms).result()

    def start(self, waveforms: NDArray[np.float32] | Tensor) -> Scores:
        """What `probabilities` gives, without waiting for a GPU; a CPU is done with it at once.

        A GPU copies from pinned memory by itself, so a pinned tensor may not change before the
        result is there. Raises `DeviceError` if not even one window fits in a GPU's memory.
        """
        import torch

        parts, size = run_in_parts(self._score, torch.as_tensor(waveforms), self.batch_size)
        if size < self.batch_size:
            self._say(
                f"the memory of {self.device} does not hold {self.batch_size} windows at once; "
                f"going on with {size}"
            )
            self.batch_size = size
        return Scores(torch.cat(parts))

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
        """Name of the number type that the network computes in."""
        return str(self.dtype).removeprefix("torch.")


def load_model(
    info: ModelInfo,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> GenreModel:
    """Bring a checkpoint onto a device. Raises `CheckpointError` or `DeviceError`."""
    import torch

    chosen = choose_device(device)
    # By itself torch takes all cores of the machine, also those that a container may not use.
    torch.set_num_threads(min(torch.get_num_threads(), count_cores()))
    try:
        return GenreModel(info, chosen, choose_precision(precision, chosen), batch_size, say)
    except torch.OutOfMemoryError as error:
        raise out_of_memory() from error
