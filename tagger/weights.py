"""The weights of a checkpoint, and the network that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagger import checkpoint
from tagger.checkpoint import ModelInfo
from tagger.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import ASTConfig


def network_config(info: ModelInfo) -> ASTConfig:
    """What the network of a checkpoint is made by, as transformers takes it."""
    from transformers import ASTConfig

    config = checkpoint.read_json(info.folder / "config.json", info.name)
    labels = dict(enumerate(info.labels))
    indices = {label: index for index, label in labels.items()}
    return ASTConfig(**checkpoint.settings(config), id2label=labels, label2id=indices)


def read_weights(info: ModelInfo) -> dict[str, Tensor]:
    """All tensors of a checkpoint, by the names in its files. Raises safetensors' errors."""
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = {}
    for path in checkpoint.weight_files(info.folder, info.name):
        weights |= load_file(path)
    return weights


def load_network(info: ModelInfo) -> torch.nn.Module:
    """The float32 network, with every weight from the file; none newly made, none left over."""
    import torch
    import transformers

    from tagger.heads import classifier_class

    transformers.utils.logging.disable_progress_bar()
    # It would print the names of tensors as they are; what is wrong with them is in our error.
    transformers.utils.logging.set_verbosity_error()
    try:
        # Without a folder: from one it would also load adapters, and files that the config names.
        network, loading = classifier_class(info.architecture).from_pretrained(
            None,
            config=network_config(info),
            state_dict=read_weights(info),
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # they are named below
            output_loading_info=True,
        )
    # Damaged weights surface as safetensors', torch's and Python's own errors alike.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"the weights of {info.name} cannot be loaded: {reason}") from error
    mismatched = [name for name, *_ in loading["mismatched_keys"]]
    wrong = [*loading["missing_keys"], *loading["unexpected_keys"], *mismatched]
    if wrong:
        some = ", ".join(sorted(wrong)[:3])
        raise CheckpointError(f"the weights of {info.name} do not fit its config: {some}")
    module: torch.nn.Module = network
    if not all(bool(weights.isfinite().all()) for weights in module.parameters()):
        raise CheckpointError(f"the weights of {info.name} are not all finite numbers")
    return module
