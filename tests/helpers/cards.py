"""A machine with an NVIDIA GPU that torch cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tagger.models import device

TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040)."


def break_cuda(monkeypatch: pytest.MonkeyPatch, folder: Path, build: str | None = "12.8") -> str:
    """Pretend to be one; `build` is torch's CUDA version. Gives the path that shows the GPU."""

    def init() -> None:
        raise RuntimeError(f"{TOO_OLD}\nand more")

    node = folder / "nvidia0"
    node.touch()
    monkeypatch.setattr(device, "NVIDIA", (str(folder / "nvidia[0-9]"),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.version, "cuda", build)
    return str(node)
