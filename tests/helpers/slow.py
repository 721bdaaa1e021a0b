"""Long forms of tests: `pytest -m slow` runs them, and the default run leaves them out."""

from __future__ import annotations

from typing import Any

import pytest


def long(*values: Any, seconds: float = 600) -> Any:
    """The parameters of the long form of a test, which may take so many seconds."""
    return pytest.param(*values, marks=[pytest.mark.slow, pytest.mark.timeout(seconds)])
