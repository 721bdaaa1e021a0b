"""A head fitted by logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from training.errors import TrainingError
from training.networks.logistic import STRENGTH, fit_head
from training.networks.methods import scratch_network


def rows(labels: int, count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Features around a centre a label; the first label has most of them."""
    draw = np.random.default_rng(0)
    truth = np.minimum(draw.geometric(0.6, count) - 1, labels - 1)
    centres = draw.normal(0, 1, (labels, 32))
    features = centres[truth] + draw.normal(0, 1.5, (count, 32))
    return torch.tensor(features, dtype=torch.float32), torch.tensor(truth)


@pytest.mark.parametrize("labels", [2, 5])
def test_the_head_gives_what_scikit_learn_gives_on_the_normalised_features(labels: int) -> None:
    names = tuple("abcde"[:labels])
    network = scratch_network("tiny", names)
    torch.nn.init.normal_(network.classifier.layernorm.weight)  # of an earlier training
    features, truth = rows(labels)
    fit_head(network, features, truth)
    normal = torch.nn.functional.layer_norm(features, (32,), eps=1e-12).numpy()
    normal = (normal - normal.mean(axis=0)) / normal.std(axis=0)
    expected = LogisticRegression(C=STRENGTH / 400, class_weight="balanced", max_iter=2000)
    expected.fit(normal, truth.numpy())
    with torch.no_grad():
        actual = network.classifier(features).softmax(dim=-1)
    np.testing.assert_allclose(actual, expected.predict_proba(normal), atol=1e-3)


def test_rare_labels_weigh_as_much_as_common_ones() -> None:
    network = scratch_network("tiny", tuple("abcde"))
    features, truth = rows(5, count=2000)
    fit_head(network, torch.randn(2000, 32), truth)  # nothing to tell them apart by
    with torch.no_grad():
        means = network.classifier(features).softmax(dim=-1).mean(dim=0)
    np.testing.assert_allclose(means, 0.2, atol=0.05)


def test_a_head_of_two_layers_cannot_be_fitted() -> None:
    with pytest.raises(TrainingError, match="linear head"):
        fit_head(scratch_network("tiny", ("a", "b"), "mlp"), *rows(2))
