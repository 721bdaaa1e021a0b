"""Batches in parts, and runs whose memory does not suffice for whole ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.clips import LABELS, write_clips
from helpers.models import save_ast
from helpers.runs import TINY, Job, processes, run_finetune, trained, write_teacher
from safetensors.numpy import load_file
from transformers.models.audio_spectrogram_transformer import modeling_audio_spectrogram_transformer

from training.memory import is_out_of_memory
from training.networks.student import LossWeights, student_losses
from training.options import RUN

AST = modeling_audio_spectrogram_transformer.ASTModel
MESSAGES: dict[str, Callable[[], Exception]] = {
    "cuda": lambda: torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    "cpu": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
        "memory: you tried to allocate 4194304 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "python": MemoryError,
    "numpy": lambda: np._core._exceptions._ArrayMemoryError((9, 9), np.dtype("f4")),
    "cublas": lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
    "onednn": lambda: RuntimeError("could not create a primitive"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    write_clips(folder / "data", per_label=4)
    write_teacher(folder / "teacher.npz", folder / "data")
    save_ast(folder / "ast", LABELS, layers=1)
    return folder


def scratch(folder: Path) -> tuple[object, ...]:
    """Arguments of a run with everything that is drawn or summed over a batch."""
    teachers = ("--teacher", folder / "teacher.npz", "--teacher-embedding", folder / "teacher.npz")
    return ("--data", folder / "data", *TINY, "--batch-size", 6, "--steps", 4, *teachers)


def linear(folder: Path) -> tuple[object, ...]:
    small = (*TINY[: TINY.index("--method")], "--batch-size", 6)
    return ("--data", folder / "data", *small, "--model", folder / "ast", "--epochs", 2)


RUNS = {"scratch": scratch, "linear": linear}


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, Path]:
    return {name: trained(folder / f"whole-{name}", *of(folder)) for name, of in RUNS.items()}


def assert_same_outcome(actual: Path, expected: Path) -> None:
    """Equal up to rounding, which is that of the stored type."""
    one, two = (load_file(out / "model.safetensors") for out in (actual, expected))
    for name, weights in one.items():
        np.testing.assert_allclose(weights, two[name], atol=2e-3, err_msg=name)
    rows, others = (
        json.loads((out / "metrics.json").read_text())["history"] for out in (actual, expected)
    )
    for row, other in zip(rows, others, strict=True):
        assert row == pytest.approx(other, abs=1e-3)


@pytest.mark.parametrize("method", RUNS)
@pytest.mark.parametrize("batches", [2, 3, 6])
def test_smaller_batches_added_up_give_the_same_weights_and_curve(
    folder: Path, whole: dict[str, Path], tmp_path: Path, method: str, batches: int
) -> None:
    smaller = ("--batch-size", 6 // batches, "--accumulate", batches)
    out = trained(tmp_path / "out", *RUNS[method](folder), *smaller)
    assert_same_outcome(out, whole[method])


def test_the_losses_of_parts_add_up_to_those_of_the_batch() -> None:
    draw = torch.Generator().manual_seed(0)
    outputs = {
        "logits": torch.randn(7, 3, generator=draw),
        "soft_labels": torch.randn(7, 2, 5, generator=draw),
        "embeddings": torch.randn(7, 2, 4, generator=draw),
    }
    labels = torch.eye(3)[torch.arange(7) % 3]
    labels[2:4] = 0  # without a label: the parts differ in how many have one
    targets = {
        "labels": labels,
        "soft_labels": torch.rand(7, 5, generator=draw),
        "embeddings": torch.randn(7, 4, generator=draw),
    }
    batch = student_losses(outputs, targets, LossWeights())
    parts = [
        student_losses(
            {name: of[part] for name, of in outputs.items()},
            {name: of[part] for name, of in targets.items()},
            LossWeights(),
            targets,
        )
        for part in (slice(0, 4), slice(4, 7))
    ]
    for name, loss in batch.items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], loss)


def limit_windows(
    monkeypatch: pytest.MonkeyPatch, most: int, error: Callable[[], Exception]
) -> list[int]:
    """Let a network fail with more windows than that; the sizes it was asked for."""
    asked: list[int] = []
    forward = AST.forward

    def limited(self: Any, input_values: torch.Tensor, *rest: Any, **named: Any) -> Any:
        asked.append(len(input_values))
        if len(input_values) > most:
            raise error()
        return forward(self, input_values, *rest, **named)

    monkeypatch.setattr(AST, "forward", limited)
    return asked


@pytest.mark.parametrize("kind", MESSAGES)
def test_when_memory_runs_out_a_step_is_repeated_with_half_the_windows(
    folder: Path,
    whole: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    asked = limit_windows(monkeypatch, 2, MESSAGES[kind])
    result = run_finetune("--out", tmp_path / "out", *scratch(folder))
    assert result.exit_code == 0, result.output
    said = re.findall(r"^out of memory: .*", result.output, re.MULTILINE)
    assert said == [
        "out of memory: step 1 again with --batch-size 3 --accumulate 2",
        "out of memory: step 1 again with --batch-size 2 --accumulate 3",
    ]
    assert asked[:3] == [6, 3, 2] and max(asked[2:]) == 2
    assert_same_outcome(tmp_path / "out", whole["scratch"])


def test_when_memory_runs_out_features_are_computed_for_fewer_windows(
    folder: Path, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_windows(monkeypatch, 2, MESSAGES["cpu"])
    result = run_finetune("--out", tmp_path / "out", *linear(folder))
    assert result.exit_code == 0, result.output
    assert "out of memory: again with 2 windows at once" in result.output
    assert "--batch-size" in result.output
    assert_same_outcome(tmp_path / "out", whole["linear"])


@pytest.mark.parametrize("method", RUNS)
def test_when_one_window_is_too_much_a_run_ends_with_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    limit_windows(monkeypatch, 0, MESSAGES["cuda"])
    result = run_finetune("--out", tmp_path / "out", *RUNS[method](folder))
    assert result.exit_code == 1
    last = result.output.splitlines()[-1]
    assert last.startswith("Error: out of memory even with one window at once")
    assert "--batch-size" in last and "--accumulate N" in last
    monkeypatch.undo()
    assert run_finetune("--out", tmp_path / "out", "--resume").exit_code == 0


@pytest.mark.parametrize("place", ["clips.decode.decode_clip", "networks.methods.build_network"])
def test_elsewhere_one_line_names_what_helps(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(f"training.{place}", full)
    result = run_finetune("--out", tmp_path / "out", *linear(folder))
    assert result.exit_code == 1
    last = result.output.splitlines()[-1]
    assert last.startswith("Error: out of memory: ")
    assert "--batch-size" in last and "--accumulate N" in last


def test_parts_of_a_batch_that_processes_share_give_the_same_weights(
    folder: Path, tmp_path: Path
) -> None:
    outs = []
    for parts in (1, 3):
        outs.append(out := tmp_path / f"parts-{parts}" / "out")
        smaller = ("--batch-size", 6 // parts, "--accumulate", parts)
        arguments = ("--out", out, *scratch(folder), *smaller)
        logs = [tmp_path / f"{parts}-{rank}.log" for rank in (0, 1)]
        started = [
            Job(tuple(map(str, arguments)), log, environ=environ).start()
            for log, environ in zip(logs, processes(2), strict=True)
        ]
        for process in started:
            process.join()
        codes = [process.exitcode for process in started]
        assert codes == [0, 0], [log.read_text() for log in logs]
    assert_same_outcome(*outs)


def test_several_processes_are_told_what_helps(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them cannot repeat a step that the others share."""
    from training.errors import OutOfMemory
    from training.memory import Memory

    def full(windows: int) -> None:
        raise MemoryError

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OutOfMemory, match="in each of 2 processes: use a smaller --batch-size"):
        Memory(8, print).run(full, str, alone=False)


def test_in_a_search_a_trial_is_repeated_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_windows(monkeypatch, 2, MESSAGES["cpu"])
    search = ("--search", 1, "--augment", "none")
    result = run_finetune("--out", tmp_path / "out", *scratch(folder), *search)
    assert result.exit_code == 0, result.output
    assert "trial 1/1: valid accuracy" in result.output


def test_a_resumed_run_may_take_more_parts(
    folder: Path, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        limit_windows(patch, 0, MESSAGES["python"])
        assert run_finetune("--out", out, *scratch(folder)).exit_code == 1
    assert (out / RUN).exists()
    result = run_finetune("--out", out, "--resume", "--batch-size", 2, "--accumulate", 3)
    assert result.exit_code == 0, result.output
    assert_same_outcome(out, whole["scratch"])


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    assert all(is_out_of_memory(make()) for make in MESSAGES.values())
    others = (RuntimeError("shapes cannot be multiplied"), ValueError(), OSError(28, "No space"))
    assert not any(map(is_out_of_memory, others))
