"""Make the network that each method trains, and save it as a plain checkpoint."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import ASTConfig, ASTForAudioClassification

from tagger.models.checkpoint import EXTRACTORS, ModelInfo
from tagger.models.dora import USUAL_ALPHA
from tagger.models.heads import ASTWithMlpHead
from tagger.models.weights import (
    build_network,
    hide_progress_bars,
    network_config,
    read_weights,
)
from tagger.types import FrontEnd
from training.errors import Diverged
from training.options import SHAPES

# Standard deviations of new weights. With AST's 0.02, a network this narrow outputs the mean for
# hundreds of steps: after 90 steps of 32 windows its error is 0.98 of the variance, not 0.93.
INITIAL_STD = 0.05
INITIAL_POSITION_STD = 0.2

DORA_LAYERS = 2  # the last ones
DORA_RANK = 2


def scratch_network(
    shape: str, labels: tuple[str, ...], head: str = "linear"
) -> ASTForAudioClassification:
    """A network of a named shape, randomly initialised, with adjacent patches of 16 x 16."""
    sizes = SHAPES[shape]
    config = ASTConfig(
        **sizes,
        intermediate_size=4 * sizes["hidden_size"],
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        patch_size=16,
        frequency_stride=16,
        time_stride=16,
        initializer_range=INITIAL_STD,
        **label_maps(labels),
    )
    network: ASTForAudioClassification = head_class(head)(config)
    # Transformers starts with equal positions, but the pitch of a bin is half the information.
    torch.nn.init.normal_(
        network.audio_spectrogram_transformer.embeddings.position_embeddings,
        std=INITIAL_POSITION_STD,
    )
    return network


def scratch_front_end(network: ASTForAudioClassification) -> FrontEnd:
    """AST's front end, with as many frames as a new network has."""
    return FrontEnd(frames=network.config.max_length, mel_bins=network.config.num_mel_bins)


def pretrained_network(
    info: ModelInfo, labels: tuple[str, ...], head: str | None, *, new_head: bool
) -> ASTForAudioClassification:
    """The network of a checkpoint, in float32.

    `head` is one of `training.options.HEADS`, or None for the checkpoint's kind. The head is new if
    `new_head` is set, or if the labels or the kind are not the checkpoint's.
    """
    weights = read_weights(info)
    config = network_config(info, weights)
    had = "mlp" if getattr(config, "mlp_hidden", None) else "linear"
    head = head or had
    if new_head or info.labels != labels or had != head:
        config.num_labels = len(labels)
        config.id2label, config.label2id = label_maps(labels).values()
    if head == "linear" and had == "mlp":
        del config.mlp_hidden
    # If weights do not fit, they are those of a head that is replaced.
    network, _ = build_network(head_class(head), config, weights)
    if new_head:
        reset_head(network)
    return network


def reset_head(network: ASTForAudioClassification) -> None:
    """Draw new weights for the head."""
    for module in network.classifier.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()


def head_class(head: str) -> type[ASTForAudioClassification]:
    """The class of a network with a head of one of `training.options.HEADS`."""
    return ASTWithMlpHead if head == "mlp" else ASTForAudioClassification


def with_dora(network: ASTForAudioClassification) -> torch.nn.Module:
    """The network with DoRA (Liu et al. 2024) on `fc2` of its last layers, and a trainable head.

    All other weights are frozen. Rank and alpha are the seed project's.
    """
    from peft import LoraConfig, get_peft_model

    last = network.config.num_hidden_layers
    chosen = "|".join(str(layer) for layer in range(max(0, last - DORA_LAYERS), last))
    config = LoraConfig(
        r=DORA_RANK,
        lora_alpha=USUAL_ALPHA,  # type: ignore[arg-type]  # peft divides by the rank, as it is
        use_dora=True,
        target_modules=rf".*\.layers\.({chosen})\.mlp\.fc2",
        modules_to_save=["classifier"],
    )
    with warnings.catch_warnings():
        # peft asks transformers for the name that it had before 5.23.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
        adapted: torch.nn.Module = get_peft_model(network, config)
    return adapted


def merged(network: Any, dtype: torch.dtype = torch.float32) -> ASTForAudioClassification:
    """The plain network; adapters, if any, are merged into the weights.

    Raises `Diverged` if a weight is not a finite number, also in the type in which it is stored.
    """
    network = network.merge_and_unload() if hasattr(network, "merge_and_unload") else network
    if not all(bool(weights.to(dtype).isfinite().all()) for weights in network.parameters()):
        raise Diverged("the training diverged: use a smaller --learning-rate")
    plain: ASTForAudioClassification = network
    return plain


def label_maps(labels: tuple[str, ...]) -> dict[str, Any]:
    """The labels as in a config of transformers."""
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def stored_dtype(folder: Path) -> torch.dtype:
    """The type of a checkpoint's stored weights: float16 if all are, else float32.

    A pickle counts as float32.
    """
    files = list(folder.glob("model*.safetensors"))
    for path in files:
        with safe_open(path, "np") as weights:
            names = weights.keys()
            if any(weights.get_slice(name).get_dtype() != "F16" for name in names):
                return torch.float32
    return torch.float16 if files else torch.float32


def save_checkpoint(
    network: ASTForAudioClassification, front_end: FrontEnd, folder: Path, dtype: torch.dtype
) -> None:
    """Write config.json, model.safetensors and preprocessor_config.json.

    `dtype` is the type in the file; the checkpoint computes in float32. Extra attributes of the
    network's config, such as `temperature`, become part of config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hide_progress_bars()
    copy.deepcopy(network).to(dtype).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # safetensors makes it private
    features = json.dumps(extractor_config(front_end), indent=2, sort_keys=True) + "\n"
    (folder / "preprocessor_config.json").write_text(features, encoding="utf-8")
    # Set even if the labels are those of multi-label checkpoints.
    edit_config(folder, {"dtype": "float32", "problem_type": "single_label_classification"})


def extractor_config(front_end: FrontEnd) -> dict[str, Any]:
    """A front end as in preprocessor_config.json; `checkpoint.front_end` reads it."""
    own = {}
    if front_end.kind == "maest":
        own = {
            "n_fft": front_end.fft_size,
            "hop_length": front_end.hop_length,
            "log_compression": "logC",
        }
    return own | {
        "feature_extractor_type": EXTRACTORS[front_end.kind],
        "sampling_rate": front_end.rate,
        "max_length": front_end.frames,
        "num_mel_bins": front_end.mel_bins,
        "do_normalize": True,
        "mean": front_end.mean,
        "std": front_end.std,
        "feature_size": 1,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def edit_config(folder: Path, values: dict[str, Any]) -> None:
    """Set values in the config.json of a checkpoint."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | values
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
