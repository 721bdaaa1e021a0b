"""What stops a training run before it starts."""

from tagger.errors import TaggerError


class TrainingError(TaggerError):
    """The clips, the split, the teacher or the output folder cannot be used as they are."""
