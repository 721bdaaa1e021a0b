"""A linear head fitted by logistic regression, with equal weight for all labels."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.functional import layer_norm
from transformers import ASTForAudioClassification

from training.errors import TrainingError

# Inverse of the L2 penalty on standardised features, for each row. Chosen on the valid part of
# GTZAN's filtered split, where 2 to 20 gave accuracies within 0.01 of each other.
STRENGTH = 6.0


def fit_head(network: ASTForAudioClassification, features: Tensor, labels: Tensor) -> None:
    """Replace a network's linear head with one fitted to features `(rows, hidden)` of windows.

    `labels` `(rows,)` has the index of each row's label. A head that learns together with its
    network favours frequent labels, and adapts to the network's errors on its training clips;
    trained afterwards, on balanced labels, it does not (Kang et al. 2020, "Decoupling
    representation and classifier for long-tailed recognition"). Raises
    `TrainingError` for another kind of head.
    """
    head = network.classifier
    if not isinstance(head.dense, nn.Linear):
        raise TrainingError("logistic regression can only fit a linear head")
    normal = layer_norm(features, features.shape[1:], eps=head.layernorm.eps)
    mean, deviation = normal.mean(dim=0), normal.std(dim=0, unbiased=False).clamp_min(1e-3)
    weight, bias = balanced_regression((normal - mean) / deviation, labels, STRENGTH)
    weight = weight / deviation
    with torch.no_grad():
        head.layernorm.weight.fill_(1.0)
        head.layernorm.bias.zero_()
        head.dense.weight.copy_(weight)
        head.dense.bias.copy_(bias - weight @ mean)


def balanced_regression(features: Tensor, labels: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Weights `(labels, width)` and biases `(labels,)` for features `(rows, width)`.

    `labels` `(rows,)` has every index from 0 up; each label has the same total weight. `strength`
    is the weight of the mean loss against the L2 penalty: scikit-learn's `C` times the rows.
    """
    fitted = LogisticRegression(
        C=strength / len(features), class_weight="balanced", max_iter=2000
    ).fit(features.numpy(), labels.numpy())
    weight, bias = fitted.coef_, fitted.intercept_
    if len(weight) == 1:  # for two labels scikit-learn gives only the second's margin
        weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.stack([-bias[0], bias[0]]) / 2
    return torch.from_numpy(weight).float(), torch.from_numpy(bias).float()
