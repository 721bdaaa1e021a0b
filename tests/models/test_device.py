"""Devices, their precision, and how many windows they take at once."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from helpers.cards import TOO_OLD, break_cuda
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import DeviceError
from tagger.models.device import (
    CUDA_BATCH,
    choose_batch,
    choose_device,
    choose_precision,
    look_for_cuda,
    run_in_parts,
    try_device,
    windows_that_fit,
)

CPU = torch.device("cpu")


def test_a_device_that_is_not_there_is_never_replaced() -> None:
    with pytest.raises(DeviceError, match="not available"):
        choose_device("cuda" if not torch.cuda.is_available() else "mps")
    assert choose_precision("float32", CPU) is torch.float32


def test_a_gpu_that_torch_cannot_use_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = break_cuda(monkeypatch, tmp_path)
    said: list[str] = []
    assert choose_device("auto", said.append).type != "cuda"
    assert len(said) == 1 and card in said[0] and TOO_OLD in said[0]
    assert choose_device("cpu", said.append) == CPU
    assert len(said) == 1  # no news where the user chose the CPU
    with pytest.raises(DeviceError, match="too old"):
        choose_device("cuda:0")


def test_what_torch_warns_of_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_cuda(monkeypatch, tmp_path)

    def is_available() -> bool:
        warnings.warn("CUDA initialization: an unknown error", stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    assert "says: CUDA initialization: an unknown error" in look_for_cuda()[1]


def test_a_build_without_cuda_is_reported_if_there_is_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = break_cuda(monkeypatch, tmp_path, build=None)
    works, trouble = look_for_cuda()
    assert not works and card in trouble and "built without CUDA" in trouble
    Path(card).unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert look_for_cuda() == (False, "")


@pytest.mark.parametrize("hiding", ["", "-1"])
def test_a_hidden_gpu_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hiding: str
) -> None:
    break_cuda(monkeypatch, tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hiding)
    assert look_for_cuda() == (False, "")


def test_a_device_that_computes_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    try_device(CPU)

    def fail(error: Exception) -> None:
        def ones(*size: int, device: torch.device) -> None:
            raise error

        monkeypatch.setattr(torch, "ones", ones)

    fail(RuntimeError("CUDA error: no kernel image is available"))
    with pytest.raises(DeviceError, match="no kernel image"):
        try_device(CPU)
    fail(torch.OutOfMemoryError("CUDA out of memory"))
    try_device(CPU)  # the model reports that


@pytest.mark.parametrize(
    ("amx", "avx512", "expected"),
    [
        (False, False, torch.float32),
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
    ],
)
def test_a_cpu_computes_in_bfloat16_where_it_multiplies_it(
    amx: bool, avx512: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert choose_precision("auto", CPU) is expected


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_computes_in_float16_where_bfloat16_is_only_emulated(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    expected = torch.bfloat16 if native else torch.float16
    assert choose_precision("auto", torch.device("cuda")) is expected


@given(st.integers(1, 10_000))
def test_a_cpu_takes_fewer_windows_the_longer_they_are(tokens: int) -> None:
    size = choose_batch(CPU, tokens, forward=lambda: pytest.fail("it is not tried on a CPU"))
    assert size >= 1
    assert size >= choose_batch(CPU, tokens + 1, lambda: None)


@given(st.integers(0, 1 << 40), st.integers(1, 1 << 34))
def test_what_fits_is_within_the_free_memory(free: int, cost: int) -> None:
    size = windows_that_fit(free, cost)
    assert 1 <= size <= CUDA_BATCH
    assert size == 1 or size * cost <= free
    assert size == CUDA_BATCH or (size + 1) * cost > 0.79 * free


@given(st.integers(1, 50), st.integers(1, 60), st.integers(1, 60))
def test_parts_are_a_whole_and_no_larger_than_what_fits(rows: int, size: int, limit: int) -> None:
    def run(part: torch.Tensor) -> torch.Tensor:
        if len(part) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 2 * part

    batch = torch.arange(rows)
    parts, left = run_in_parts(run, batch, size)
    assert torch.equal(torch.cat(parts), 2 * batch)
    assert max(map(len, parts)) <= left <= size
    assert left == size or left <= limit


def test_an_error_of_another_kind_is_not_taken_for_a_full_memory() -> None:
    def run(part: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        run_in_parts(run, torch.arange(3), 2)
