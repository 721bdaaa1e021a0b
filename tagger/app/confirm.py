"""`--confirm`: what a person is asked, what an answer means, and the order of question and answer.

Pure: `Person` is the terminal (`cli/confirm.py`), `Hand` writes files (`app/asking.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Protocol

from tagger.app.answers import Command, Names, Refused, parse
from tagger.app.progress import Progress
from tagger.genres.policy import Policy, append_to
from tagger.types import Action, Outcome, Track

NAMES_SHOWN = 3
