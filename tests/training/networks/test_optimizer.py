"""The optimizer, and the average of the weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from training.networks.optimizer import MuonWithAdamW
from training.networks.student import WeightAverage


class Block(nn.Module):
    """Named like a transformer: a matrix in its layers, one outside, and vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(3, 3)])})
        self.head = nn.Linear(3, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.encoder["layers"][0](inputs)))


def block() -> Block:
    torch.manual_seed(0)
    return Block()


def steps(module: nn.Module, optimizer: torch.optim.Optimizer, seeds: range) -> None:
    for seed in seeds:
        draw = torch.Generator().manual_seed(seed)
        optimizer.zero_grad()
        module(torch.randn(4, 3, generator=draw)).square().sum().backward()
        optimizer.step()


def weights_of(module: nn.Module) -> list[bytes]:
    return [weight.detach().numpy().tobytes() for weight in module.parameters()]


def test_an_average_without_decay_is_the_last_weights() -> None:
    module = block()
    average = WeightAverage(module, 0.0)
    steps(module, torch.optim.SGD(module.parameters(), lr=0.1), range(1))
    average.update(module)
    assert weights_of(average.module) == weights_of(module)


def test_an_average_continues_from_its_file_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    module = block()
    module.head.bias.requires_grad_(False)  # what does not learn is not in the file
    kept, stopped = WeightAverage(module, 0.9), WeightAverage(module, 0.9)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for number in range(5):
        steps(module, optimizer, range(number, number + 1))
        kept.update(module)
        if number < 3:
            stopped.update(module)
        if number == 2:
            stopped.save(tmp_path / "average.safetensors")
            stopped = WeightAverage(block(), 0.9)
            stopped.learned.remove("head.bias")
            stopped.load(tmp_path / "average.safetensors")
        if number > 2:
            stopped.update(module)
    assert weights_of(stopped.module) == weights_of(kept.module) and stopped.steps == 5
    assert [path.name for path in tmp_path.iterdir()] == ["average.safetensors"]


def test_an_average_follows_its_formula() -> None:
    module = block()
    average = WeightAverage(module, 0.5)
    expected = module.head.weight.detach().clone()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for step in range(1, 12):
        steps(module, optimizer, range(step, step + 1))
        average.update(module)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module.head.weight.detach()
    torch.testing.assert_close(average.module.head.weight.detach(), expected)


def test_an_optimizer_continues_from_its_state_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    from transformers import get_cosine_schedule_with_warmup

    def start(module: nn.Module) -> tuple[MuonWithAdamW, torch.optim.lr_scheduler.LambdaLR]:
        optimizer = MuonWithAdamW(module, 1e-2, 0.05)
        return optimizer, get_cosine_schedule_with_warmup(optimizer, 2, 10)

    def go(module: nn.Module, parts: tuple[MuonWithAdamW, object], seeds: range) -> None:
        for seed in seeds:
            steps(module, parts[0], range(seed, seed + 1))
            parts[1].step()  # type: ignore[attr-defined]

    whole, stopped = block(), block()
    whole_parts, stopped_parts = start(whole), start(stopped)
    go(whole, whole_parts, range(8))
    go(stopped, stopped_parts, range(5))
    torch.save([of.state_dict() for of in (stopped, *stopped_parts)], tmp_path / "state.pt")
    resumed = Block()
    resumed_parts = start(resumed)
    states = torch.load(tmp_path / "state.pt", weights_only=True)
    for of, state in zip((resumed, *resumed_parts), states, strict=True):
        of.load_state_dict(state)
    go(resumed, resumed_parts, range(5, 8))
    assert weights_of(resumed) == weights_of(whole)


def test_muon_has_the_matrices_of_the_layers_and_adamw_the_rest() -> None:
    module = block()
    optimizer = MuonWithAdamW(module, 2e-3, 0.05)
    muon, adamw = optimizer.parts
    matrices = [of for group in muon.param_groups for of in group["params"]]
    assert [of is module.encoder["layers"][0].weight for of in matrices] == [True]
    rest = [of for group in adamw.param_groups for of in group["params"]]
    assert {id(of) for of in (*matrices, *rest)} == {id(of) for of in module.parameters()}
    vectors = adamw.param_groups[1]
    assert vectors["weight_decay"] == 0 and all(of.ndim == 1 for of in vectors["params"])


def test_a_schedule_changes_both_speeds_of_an_optimizer() -> None:
    module = block()
    optimizer = MuonWithAdamW(module, 1e-2, 0.0)
    before = weights_of(module)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    steps(module, optimizer, range(1))
    assert weights_of(module) == before
