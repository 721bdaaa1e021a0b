"""The sections of `--help`, in the order in which a person needs them."""

from __future__ import annotations

from collections.abc import Iterable

import click

OTHERS = "Options"
SHORT = 6  # options
SECTIONS = {
    "What a run does": "--write-tags --dry-run --explain --predict-again",
    "Which files are predicted": (
        "--from-file --null --exclude --suffix --follow-links --only-missing --skip"
    ),
    "Genres that a file already has": "--on-existing --protect --separators --placeholder",
    "Which genres are written": (
        "--min-confidence --min-music --top --ratio --by --style "
        "--aliases --whitelist --tree --with-parents"
    ),
    "How files are written": (
        "--id3 --id3v23-join --no-wav-info --charset --provenance "
        "--keep-mtime --break-hardlinks --drop-attributes"
    ),
    "Report": "--csv --xlsx --playlists --all-probabilities",
    "Model and speed": (
        "--model --labels --windows --device --precision --batch-size --workers --decode-timeout"
    ),
    "General": "--state --log --quiet --strict --verbose --color --config --version --help",
}


def in_sections(params: Iterable[click.Parameter]) -> dict[str, list[click.Option]]:
    """The options under their headings; those of no section come first."""
    given = {max(p.opts, key=len): p for p in params if isinstance(p, click.Option)}
    if len(given) <= SHORT:  # the few of `models`, say, need no headings
        return {OTHERS: list(given.values())}
    listed = {heading: options.split() for heading, options in SECTIONS.items()}
    others = [name for name in given if not any(name in names for names in listed.values())]
    found = {
        heading: [given[name] for name in names if name in given]
        for heading, names in ({OTHERS: others} | listed).items()
    }
    return {heading: options for heading, options in found.items() if options}
