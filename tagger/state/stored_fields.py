"""The genre fields of a file as text, for the journal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from tagger.types import GenreFields, TagOptions

DEFAULTS = asdict(TagOptions())


def fields_to_text(fields: GenreFields) -> str:
    """The fields as JSON."""
    stored: dict[str, Any] = {"values": dict(fields.values), "has_tags": fields.has_tags}
    if fields.frames:
        frames = [[place, frame.hex()] for place, frame in fields.frames]
        stored |= {"version": fields.version, "frames": frames}
    if fields.patch:
        stored["patch"] = fields.patch
    options = asdict(fields.options)
    stored["options"] = {name: options[name] for name in options if options[name] != DEFAULTS[name]}
    return json.dumps(stored)


def fields_from_text(text: str) -> GenreFields:
    """The fields in such a text; earlier versions stored only `values` and `has_tags`."""
    stored = json.loads(text)
    return GenreFields(
        {field: tuple(values) for field, values in stored["values"].items()},
        stored["has_tags"],
        stored.get("version", 0),
        tuple((place, bytes.fromhex(frame)) for place, frame in stored.get("frames", ())),
        stored.get("patch", ""),
        TagOptions(**stored.get("options", {})),
    )
