"""What stops a training run."""

from tagger.errors import TaggerError


class TrainingError(TaggerError):
    """The clips, the split, the teacher or the output folder cannot be used as they are."""


class Diverged(TrainingError):
    """The weights are not finite numbers any more."""
