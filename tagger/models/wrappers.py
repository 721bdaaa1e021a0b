"""The names of weights that were saved with what a network was wrapped in for its training."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tagger.models.adapters import MERGE

if TYPE_CHECKING:
    from torch import Tensor

WRAPPER = re.compile(
    r"(?<![^.])(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
ROOT = "audio_spectrogram_transformer."  # the body of an AST; beside it is its classifier
LORA = ".lora_A."  # peft's name of a factor


def plain_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights by their names in an AST, without the names of what the AST was wrapped in.

    DataParallel and averages of weights add "module.", torch.compile "_orig_mod.", peft
    "base_model.model.", and Lightning the name of an attribute, such as "model.". Raises
    `ValueError` for weights of two networks, and for LoRA without the config of its adapter.
    """
    if any(LORA in name for name in weights):
        raise ValueError(f"they hold an adapter that is not merged; {MERGE}")
    inner = {WRAPPER.sub("", name): name for name in weights if name != "n_averaged"}
    if len(inner) + ("n_averaged" in weights) < len(weights):
        raise ValueError("the weights hold several networks under different wrappers")
    prefixes = {name.partition(ROOT)[0] for name in inner if ROOT in name}
    if len(prefixes) > 1:
        shown = " and ".join(repr(prefix) for prefix in sorted(prefixes)[:2])
        raise ValueError(f"the weights hold several networks, under {shown}; save one of them")
    prefix = next(iter(prefixes), "")
    return {name.removeprefix(prefix): weights[stored] for name, stored in inner.items()}
