"""Errors that stop a training run."""

from tagger.errors import TaggerError


class TrainingError(TaggerError):
    """The clips, the split, the teacher or the output folder cannot be used as they are."""


class Diverged(TrainingError):
    """Some weights are no longer finite numbers."""


class OutOfMemory(TrainingError):
    """Memory does not suffice, however few windows are computed at once."""
