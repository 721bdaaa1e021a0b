"""Devices, their precision, and how many windows they take at once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagger.device import (
    CUDA_BATCH,
    choose_batch,
    choose_device,
    choose_precision,
    fitting,
    run_in_parts,
)
from tagger.errors import DeviceError

CPU = torch.device("cpu")


def test_a_device_that_is_not_there_is_never_replaced() -> None:
    with pytest.raises(DeviceError, match="not available"):
        choose_device("cuda" if not torch.cuda.is_available() else "mps")
    assert choose_precision("float32", CPU) is torch.float32


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
    size = fitting(free, cost)
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
