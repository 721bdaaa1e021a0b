"""The module that a run trains: a classifier, with extra heads for its teachers' targets."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from tagger.models.network import SPECIAL_TOKENS

SEGMENTS = "segments"  # targets of short parts of a window, for single patches


@dataclass(frozen=True, slots=True)
class LossWeights:
    """The weights of the losses, and the label smoothing."""

    labels: float = 0.3  # with a teacher, which says more than labels of a few artists; else 1
    soft_labels: float = 0.1  # of the sum over the classes
    embeddings: float = 3.0  # of the squared error, as a share of the variance
    segments: float = 3.0  # likewise
    smoothing: float = 0.1  # share of a label's probability spread over all labels


class HeadStudent(nn.Module):
    """Only a head, on precomputed features of a frozen network."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, pooled: Tensor) -> dict[str, Tensor]:
        """Pooled outputs `(batch, hidden)` to `logits` `(batch, labels)`."""
        return {"logits": self.classifier(pooled).float()}


class Student(nn.Module):
    """A classifier whose pooled output also has to predict its teachers' targets.

    `network` is an AST classifier, or one wrapped by peft.
    """

    def __init__(
        self,
        network: Any,
        means: dict[str, Tensor] | None = None,
        patch_drop: float = 0.0,
        heads: nn.ModuleDict | None = None,
    ) -> None:
        """`heads` are those of an earlier training, for the same teachers.

        New ones start from `means`, the teachers' mean targets `(width,)`.
        """
        super().__init__()
        self.patch_drop = patch_drop
        self.network = network
        self.heads = self._new_heads(means or {}) if heads is None else heads

    def _new_heads(self, means: dict[str, Tensor]) -> nn.ModuleDict:
        hidden = self.network.config.hidden_size
        heads = {name: nn.Linear(hidden, len(mean)) for name, mean in means.items()}
        for name, mean in means.items():
            # Without this, the first hundreds of steps only learn that most classes are rare.
            bias = mean.logit(eps=1e-4) if name == "soft_labels" else mean
            heads[name].bias.data.copy_(bias)
        return nn.ModuleDict(heads)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Features `(batch, frames, mel_bins)` to `logits` and an output for each teacher.

        Teachers' heads read the pooled output and the mean of the patches, `(batch, 2, width)`, so
        that their gradient reaches the patches directly, not only through the class token. That of
        `segments` reads each patch, `(batch, patches, width)`; the middle of the patch along time,
        `(batch, patches)`, from 0 to 1, comes as `places`.
        """
        transformer = self.network.audio_spectrogram_transformer
        drops = self.training and self.patch_drop
        places = self._places(features)
        hook = None
        if drops:
            kept = self._draw_patches(places)
            places = places.gather(1, kept)
            hook = transformer.embeddings.register_forward_hook(
                lambda _module, _inputs, tokens: keep_patches(tokens, kept)
            )
        try:
            encoded = transformer(input_values=features)
        finally:
            if hook:  # also if memory runs out, and the step is repeated
                hook.remove()
        pooled = encoded.pooler_output  # (batch, hidden)
        patches = encoded.last_hidden_state[:, SPECIAL_TOKENS:]  # (batch, patches, hidden)
        both = torch.stack([pooled, patches.mean(dim=1)], dim=1)  # (batch, 2, hidden)
        outputs = {
            name: head(patches if name == SEGMENTS else both).float()
            for name, head in self.heads.items()
        }
        return {"logits": self.network.classifier(pooled).float(), "places": places, **outputs}

    def _places(self, features: Tensor) -> Tensor:
        """Middle of each patch along time, as a share of the frames, `(batch, patches)`."""
        config = self.network.config
        batch, frames, bins = features.shape
        across = (frames - config.patch_size) // config.time_stride + 1
        bands = (bins - config.patch_size) // config.frequency_stride + 1
        starts = torch.arange(across, device=features.device) * config.time_stride
        middles: Tensor = (starts + config.patch_size / 2) / frames  # (across,)
        return middles.repeat(bands).expand(batch, -1)  # patches of the lowest band come first

    def _draw_patches(self, places: Tensor) -> Tensor:
        """Patchout (Koutini et al. 2022): a random share of the patches, `(batch, kept)`."""
        batch, count = places.shape
        kept = round(count * (1 - self.patch_drop))
        return torch.rand(batch, count, device=places.device).argsort(dim=-1)[:, :kept]


def keep_patches(tokens: Tensor, kept: Tensor) -> Tensor:
    """Of tokens `(batch, tokens, hidden)` the first two, and the patches `(batch, kept)`."""
    chosen = (kept + SPECIAL_TOKENS)[:, :, None].expand(-1, -1, tokens.shape[-1])
    return torch.cat([tokens[:, :SPECIAL_TOKENS], tokens.gather(1, chosen)], dim=1)


def student_losses(
    outputs: dict[str, Tensor],
    targets: dict[str, Tensor],
    weights: LossWeights,
    whole: dict[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Weighted losses of the label and each teacher; unlabelled crops count only for teachers.

    If these crops are a part of a batch with the targets `whole`, their share of its losses: those
    of all parts add up to the losses of the batch.
    """
    whole = targets if whole is None else whole
    labels = targets["labels"]  # (batch, labels), each row sums to the share that has a label
    share = len(labels) / len(whole["labels"])
    mass = labels.sum(dim=-1, keepdim=True)  # (batch, 1)
    smooth = (1 - weights.smoothing) * labels + weights.smoothing * mass / labels.shape[-1]
    entropies = -(smooth * log_softmax(outputs["logits"], dim=-1)).sum(dim=-1)  # (batch,)
    alone = not {"soft_labels", "embeddings"} & targets.keys()
    weight = 1.0 if alone else weights.labels
    losses = {"labels": weight * entropies.sum() / whole["labels"].sum().clamp_min(1)}
    if "soft_labels" in targets:
        logits = outputs["soft_labels"]  # (batch, 2, classes)
        wanted = targets["soft_labels"][:, None].expand_as(logits)
        each = binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        losses["soft_labels"] = share * weights.soft_labels * each.sum(dim=-1).mean()
    if "embeddings" in targets:
        wanted = targets["embeddings"][:, None]  # (batch, 1, width)
        error = unexplained(outputs["embeddings"], wanted, whole["embeddings"])
        losses["embeddings"] = share * weights.embeddings * error
    if SEGMENTS in targets:
        wanted = targets[SEGMENTS]  # (batch, steps, width)
        _, steps, width = wanted.shape
        nearest = (outputs["places"] * steps).long()[:, :, None].expand(-1, -1, width)
        error = unexplained(outputs[SEGMENTS], wanted.gather(1, nearest), whole[SEGMENTS])
        losses[SEGMENTS] = share * weights.segments * error
    return losses


def unexplained(outputs: Tensor, wanted: Tensor, everything: Tensor) -> Tensor:
    """Squared error of outputs `(..., width)`, as a share of the variance of all targets."""
    flat = everything.flatten(0, -2)
    spread = (flat - flat.mean(dim=0)).square().sum(dim=-1).mean()
    return (outputs - wanted).square().sum(dim=-1).mean() / spread.clamp_min(1e-6)


class WeightAverage:
    """An exponential moving average of a module's trained weights, which is saved.

    `decay` is per step; with 0 the average equals the last weights.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval()
        self.decay = decay
        self.steps = 0
        self.learned = [name for name, weight in module.named_parameters() if weight.requires_grad]

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Include the weights after one step; at first the decay is faster."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        means, weights = (dict(of.named_parameters()) for of in (self.module, module))
        for name in self.learned:
            means[name].lerp_(weights[name], 1 - decay)

    def save(self, path: Path) -> None:
        """Write the averages atomically: the file is complete or absent."""
        means = dict(self.module.named_parameters())
        tensors = {name: means[name].detach().cpu().contiguous() for name in self.learned}
        partial = path.with_suffix(".partial")
        safetensors.torch.save_file(tensors, partial, metadata={"steps": str(self.steps)})
        partial.replace(path)

    @torch.no_grad()
    def load(self, path: Path) -> None:
        """Restore what `save` wrote."""
        means = dict(self.module.named_parameters())
        with safetensors.safe_open(path, "pt") as file:
            self.steps = int(file.metadata()["steps"])
            for name in self.learned:
                means[name].copy_(file.get_tensor(name))
