"""A person who answers the questions of `--confirm` with lines that a test wrote down."""

from __future__ import annotations

from tagger.app.answers import Names
from tagger.app.confirm import Place, Question


class Typist:
    """Types these lines, and remembers which question was shown for each; then the input ends."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.questions: list[Question] = []
        self.places: list[Place] = []
        self.replies: list[str] = []
        self.names: Names | None = None
        self.helped = 0

    @property
    def seen(self) -> list[str]:
        """The names of the first files of the questions."""
        return [question.tracks[0].track.path.name for question in self.questions]

    def show(self, question: Question, place: Place, names: Names) -> None:
        self.questions.append(question)
        self.places.append(place)
        self.names = names

    def ask(self) -> str | None:
        return self.lines.pop(0) if self.lines else None

    def help(self) -> None:
        self.helped += 1

    def reply(self, line: str) -> None:
        self.replies.append(line)
