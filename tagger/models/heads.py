"""Classification heads that transformers' own AST does not have.

Transformers' own class would ignore the weights of such a head and draw new ones.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from transformers import ASTConfig, ASTForAudioClassification

from tagger.models.checkpoint import LAST

MLP_HIDDEN = 200
MLP_DROPOUT = (0.05, 0.1)  # before each of the two linear layers
FIRST_OF_TWO = "classifier.dense.1.weight"  # (mlp_hidden, hidden_size)


class ASTWithMlpHead(ASTForAudioClassification):
    """AST with one hidden layer between the pooled output and the labels.

    The config gives `mlp_hidden` (width) and `mlp_dropout` (two rates); if they are missing, it
    uses and saves the values that were found for AST on GTZAN: 200, 0.05 and 0.1. The layer norm in
    front of the head is AST's own.
    """

    def __init__(self, config: ASTConfig) -> None:
        config.mlp_hidden = getattr(config, "mlp_hidden", MLP_HIDDEN)
        config.mlp_dropout = list(getattr(config, "mlp_dropout", MLP_DROPOUT))
        super().__init__(config)
        before, between = config.mlp_dropout
        self.classifier.dense = nn.Sequential(
            nn.Dropout(before),
            nn.Linear(config.hidden_size, config.mlp_hidden),
            nn.GELU(),
            nn.Dropout(between),
            nn.Linear(config.mlp_hidden, config.num_labels),
        )  # (batch, hidden_size) to (batch, labels)
        self.post_init()  # draws the new weights; all others are marked as drawn


def classifier_class(config: ASTConfig) -> type[ASTForAudioClassification]:
    """The class of a network: with a two-layer head if the config has `mlp_hidden`."""
    return ASTWithMlpHead if hasattr(config, "mlp_hidden") else ASTForAudioClassification


def mlp_hidden(weights: Mapping[str, Tensor]) -> int | None:
    """The width of a head's hidden layer; None for a head without one."""
    return len(weights[FIRST_OF_TWO]) if FIRST_OF_TWO in weights else None


def outputs(weights: Mapping[str, Tensor]) -> int | None:
    """How many outputs a head of either kind has; None if its last layer is missing."""
    return next((len(weights[name]) for name in LAST if name in weights), None)
