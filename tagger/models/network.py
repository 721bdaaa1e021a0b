"""The forward pass of AST for inference, on the weights of transformers' own module.

The results equal those of `ASTForAudioClassification` up to rounding, with less work: the patches
are one matrix product, queries, keys and values another, and the last layer computes only the two
tokens that the head uses (Gong et al. 2021, https://arxiv.org/abs/2104.01778).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SPECIAL_TOKENS = 2  # class and distillation; the head takes their mean


class Layer(nn.Module):
    """One transformer layer, normalised before attention and MLP; `source` is an `ASTLayer`."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        attention = source.attention
        self.heads: int = attention.num_attention_heads
        self.head_size: int = attention.head_dim
        self.norm_before: nn.LayerNorm = source.layernorm_before
        self.norm_after: nn.LayerNorm = source.layernorm_after
        self.qkv = _join(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out: nn.Linear = attention.o_proj
        self.widen: nn.Linear = source.mlp.fc1
        self.activation: nn.Module = source.mlp.activation_fn
        self.narrow: nn.Linear = source.mlp.fc2

    def forward(self, hidden: Tensor) -> Tensor:
        """`(batch, tokens, hidden_size)` to the same."""
        return self._finish(hidden, *self.qkv(self.norm_before(hidden)).chunk(3, dim=-1))

    def first(self, hidden: Tensor, count: int) -> Tensor:
        """The first `count` tokens of `forward`'s result: `(batch, count, hidden_size)`."""
        normed = self.norm_before(hidden)  # (batch, tokens, hidden_size)
        size = self.heads * self.head_size
        weights, biases = self.qkv.weight, self.qkv.bias
        of_query, of_rest = (None, None) if biases is None else (biases[:size], biases[size:])
        query = functional.linear(normed[:, :count], weights[:size], of_query)
        key, value = functional.linear(normed, weights[size:], of_rest).chunk(2, dim=-1)
        return self._finish(hidden[:, :count], query, key, value)

    def _finish(self, hidden: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        query, key, value = self._split(query), self._split(key), self._split(value)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        # In place, since nothing else holds the product: one tensor less to allocate.
        hidden = self.out(mixed.transpose(1, 2).flatten(2)).add_(hidden)
        wide = self.activation(self.widen(self.norm_after(hidden)))
        result: Tensor = self.narrow(wide).add_(hidden)
        return result

    def _split(self, part: Tensor) -> Tensor:
        """By heads, without a copy: `(batch, heads, tokens, head_size)`."""
        return part.view(*part.shape[:2], self.heads, self.head_size).transpose(1, 2)


class Network(nn.Module):
    """Features to logits; `source` is an `ASTForAudioClassification`, perhaps with another head.

    It reuses the modules of `source`, which must not be used afterwards.
    """

    def __init__(self, source: Any) -> None:
        super().__init__()
        body = source.audio_spectrogram_transformer
        embeddings = body.embeddings
        projection = embeddings.patch_embeddings.projection
        self.patch_size: tuple[int, int] = projection.kernel_size
        self.stride: tuple[int, int] = projection.stride
        self.patches = nn.Linear(*projection.weight.flatten(1).T.shape)
        self.patches.weight = nn.Parameter(projection.weight.flatten(1))  # (hidden_size, 256)
        self.patches.bias = projection.bias
        positions = embeddings.position_embeddings
        special = torch.cat([embeddings.cls_token, embeddings.distillation_token], dim=1)
        self.special = nn.Parameter(special + positions[:, :SPECIAL_TOKENS])
        self.positions = nn.Parameter(positions[:, SPECIAL_TOKENS:].clone())
        *layers, last = (Layer(layer) for layer in body.layers)
        self.layers = nn.ModuleList(layers)
        self.last = last
        self.norm: nn.LayerNorm = body.layernorm
        self.tokens: int = positions.shape[1]
        self.head: nn.Module = source.classifier

    def forward(self, features: Tensor) -> Tensor:
        """`(batch, frames, mel_bins)` to logits `(batch, labels)`."""
        patches = self.patches(self._cut(features)) + self.positions
        special = self.special.expand(len(features), -1, -1)
        hidden = torch.cat([special, patches], dim=1)  # (batch, tokens, hidden_size)
        for layer in self.layers:
            hidden = layer(hidden)
        used = self.norm(self.last.first(hidden, SPECIAL_TOKENS))  # (batch, 2, hidden_size)
        logits: Tensor = self.head(used.mean(dim=1))
        return logits

    def _cut(self, features: Tensor) -> Tensor:
        """Every patch as a row, by frequency and then by time: `(batch, patches, 256)`."""
        (high, wide), (down, along) = self.patch_size, self.stride
        spectrogram = features.transpose(1, 2)  # (batch, mel_bins, frames)
        cut = spectrogram.unfold(1, high, down).unfold(2, wide, along)
        return cut.flatten(3).flatten(1, 2)


def _join(*parts: nn.Linear) -> nn.Linear:
    """One linear layer with the outputs of several, one after the other."""
    joined = nn.Linear(
        parts[0].in_features,
        sum(part.out_features for part in parts),
        bias=parts[0].bias is not None,
        device="meta",
    )
    joined.weight = nn.Parameter(torch.cat([part.weight for part in parts]).detach())
    if joined.bias is not None:
        joined.bias = nn.Parameter(torch.cat([part.bias for part in parts]).detach())
    return joined
