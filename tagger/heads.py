"""Classification heads that transformers' own AST does not have.

A checkpoint says which one it has by its architecture: transformers' class would leave such a
head's weights out and draw new ones.
"""

from __future__ import annotations

from torch import nn
from transformers import ASTConfig, ASTForAudioClassification

MLP_HIDDEN = 200
MLP_DROPOUT = (0.05, 0.1)  # before each of the two linear layers


class ASTWithMlpHead(ASTForAudioClassification):
    """AST with one hidden layer between the pooled output and the labels.

    Of the config it takes `mlp_hidden` (width) and `mlp_dropout` (two shares); where they are
    missing it uses, and saves, the values that were found for AST on GTZAN: 200, 0.05 and 0.1. The
    layer norm in front of the head stays AST's own.
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
        self.post_init()  # draws the weights of what is new; all others are marked as drawn


def classifier_class(architecture: str) -> type[ASTForAudioClassification]:
    """The class that `architectures` names, one of `tagger.checkpoint.CLASSIFIERS`."""
    classes = (ASTForAudioClassification, ASTWithMlpHead)
    found: type[ASTForAudioClassification] = {known.__name__: known for known in classes}[
        architecture
    ]
    return found
