"""The network in training: an AST classifier, and heads beside it that only a teacher sees."""

from __future__ import annotations

import copy
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from tagger.model import ModelInfo
from tagger.types import FrontEnd

SPECIAL = 2  # tokens before the patches: class and distillation

# Standard deviations of new weights. With AST's 0.02 a network this narrow gives its mean output
# for hundreds of steps: after 90 of 32 windows its error is 0.98 of the variance, against 0.93.
INITIAL = 0.05
INITIAL_POSITION = 0.2

# Widths of a network that is trained from nothing.
SCRATCH: dict[str, dict[str, int]] = {
    # 2.7 M parameters on 16 x 8 patches of 2.575 s: fits a wheel, and 2 cores.
    "small": {
        "hidden_size": 192,
        "num_hidden_layers": 6,
        "num_attention_heads": 3,
        "max_length": 256,
    },
    "tiny": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "max_length": 64},
}


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each target counts beside the label's cross entropy."""

    soft_labels: float = 0.1  # of the sum over the classes
    embeddings: float = 3.0  # of the squared error, as a share of the variance
    smoothing: float = 0.1  # share of a label's probability spread over all labels


def scratch_network(shape: str, labels: tuple[str, ...]) -> ASTForAudioClassification:
    """A network of a named shape, randomly initialised; patches 16 x 16 side by side."""
    sizes = SCRATCH[shape]
    config = ASTConfig(
        **sizes,
        intermediate_size=4 * sizes["hidden_size"],
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        patch_size=16,
        frequency_stride=16,
        time_stride=16,
        initializer_range=INITIAL,
        **label_maps(labels),
    )
    network = ASTForAudioClassification(config)
    # Transformers begins with all positions equal, but a bin's height is half of what it says.
    torch.nn.init.normal_(
        network.audio_spectrogram_transformer.embeddings.position_embeddings, std=INITIAL_POSITION
    )
    return network


def pretrained_network(info: ModelInfo, labels: tuple[str, ...]) -> ASTForAudioClassification:
    """The network of a checkpoint; a new head if its labels are not these."""
    heads = {} if info.labels == labels else label_maps(labels)
    return ASTForAudioClassification.from_pretrained(
        info.folder,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        ignore_mismatched_sizes=True,
        **heads,
    )


def scratch_front_end(network: ASTForAudioClassification) -> FrontEnd:
    """AST's front end, with as many frames as a new network has."""
    return FrontEnd(frames=network.config.max_length, mel_bins=network.config.num_mel_bins)


def label_maps(labels: tuple[str, ...]) -> dict[str, Any]:
    """The labels as a config of transformers holds them."""
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }


class Student(nn.Module):
    """A classifier whose pooled output also has to tell what its teachers heard."""

    def __init__(
        self, network: ASTForAudioClassification, means: dict[str, Tensor], patch_drop: float = 0.0
    ) -> None:
        """Heads `(width,)` wide that begin with the mean targets of their teachers."""
        super().__init__()
        self.patch_drop = patch_drop
        network.audio_spectrogram_transformer.embeddings.register_forward_hook(self._drop_patches)
        self.network = network
        hidden = network.config.hidden_size
        heads = {name: nn.Linear(hidden, len(mean)) for name, mean in means.items()}
        for name, mean in means.items():
            # Without this, hundreds of steps go into learning that most classes are rare.
            bias = mean.logit(eps=1e-4) if name == "soft_labels" else mean
            heads[name].bias.data.copy_(bias)
        self.heads = nn.ModuleDict(heads)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Features `(batch, frames, mel_bins)` to `logits` and an output for each teacher.

        Teachers ask the pooled output and the mean of the patches, `(batch, 2, width)`: their
        gradient reaches the patches without waiting for the class token to find them.
        """
        encoded = self.network.audio_spectrogram_transformer(input_values=features)
        pooled = encoded.pooler_output  # (batch, hidden)
        patches = encoded.last_hidden_state[:, SPECIAL:].mean(dim=1)  # (batch, hidden)
        both = torch.stack([pooled, patches], dim=1)  # (batch, 2, hidden)
        outputs = {name: head(both).float() for name, head in self.heads.items()}
        return {"logits": self.network.classifier(pooled).float(), **outputs}

    def _drop_patches(self, module: nn.Module, inputs: Any, tokens: Tensor) -> Tensor:
        """Patchout (PaSST): in training, leave a random share of the patches out of all layers."""
        if not self.training or not self.patch_drop:
            return tokens
        batch, count, hidden = tokens.shape
        kept = round((count - SPECIAL) * (1 - self.patch_drop))
        order = torch.rand(batch, count - SPECIAL, device=tokens.device).argsort(dim=-1) + SPECIAL
        chosen = order[:, :kept, None].expand(-1, -1, hidden)  # (batch, kept, hidden)
        return torch.cat([tokens[:, :SPECIAL], tokens.gather(1, chosen)], dim=1)


def student_losses(
    outputs: dict[str, Tensor], targets: dict[str, Tensor], weights: LossWeights
) -> dict[str, Tensor]:
    """Weighted losses of the label and each teacher; a crop without a label counts for teachers."""
    labels = targets["labels"]  # (batch, labels), each row sums to the share that has a label
    mass = labels.sum(dim=-1, keepdim=True)  # (batch, 1)
    smooth = (1 - weights.smoothing) * labels + weights.smoothing * mass / labels.shape[-1]
    entropies = -(smooth * log_softmax(outputs["logits"], dim=-1)).sum(dim=-1)  # (batch,)
    losses = {"labels": entropies.sum() / mass.sum().clamp_min(1)}
    if "soft_labels" in targets:
        heard = outputs["soft_labels"]  # (batch, 2, classes)
        wanted = targets["soft_labels"][:, None].expand_as(heard)
        each = binary_cross_entropy_with_logits(heard, wanted, reduction="none")
        losses["soft_labels"] = weights.soft_labels * each.sum(dim=-1).mean()
    if "embeddings" in targets:
        wanted = targets["embeddings"]  # (batch, width)
        error = (outputs["embeddings"] - wanted[:, None]).square().sum(dim=-1).mean()
        spread = (wanted - wanted.mean(dim=0)).square().sum(dim=-1).mean()
        losses["embeddings"] = weights.embeddings * error / spread.clamp_min(1e-6)
    return losses


class WeightAverage:
    """An exponential moving average of a network's weights, which is what gets saved."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after one step; early on the average forgets faster."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for mean, weight in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)


def save_checkpoint(network: ASTForAudioClassification, front_end: FrontEnd, folder: Path) -> None:
    """Write config.json, model.safetensors in float16 and preprocessor_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    transformers.utils.logging.disable_progress_bar()
    copy.deepcopy(network).half().save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # safetensors makes it private
    with warnings.catch_warnings():
        # The lowest mel filters of AST's own front end are narrower than a bin of its FFT.
        warnings.filterwarnings("ignore", "At least one mel filter has all zero values")
        extractor = ASTFeatureExtractor(
            sampling_rate=front_end.rate,
            num_mel_bins=front_end.mel_bins,
            max_length=front_end.frames,
            mean=front_end.mean,
            std=front_end.std,
        )
    extractor.save_pretrained(folder)
    # Half precision is for the file only: transformers would also compute in what is named here.
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"dtype": "float32"}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
