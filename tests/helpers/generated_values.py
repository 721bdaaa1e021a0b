"""Texts, names, blobs and genres that tests put into tags, as hypothesis strategies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Draw = Callable[..., Any]
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=20)
LATIN = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["Cc"]),
                min_size=1, max_size=20)  # fmt: skip
ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
NAME = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_ ", min_size=1, max_size=12).map("X-{}".format)
# Pictures and the like: any bytes, and what looks like the start of an MPEG frame or of a tag.
SEED = st.binary(min_size=1, max_size=40) | st.sampled_from(
    [
        b"\xff\xe0",
        b"\xff\xfb\x90\x00",
        b"\xff\0",
        b"\xff",
        b"\0",
        b"APETAGEX",
        b"ID3\4\0\0\0\0\0\x7f",
    ]
)
BLOB = st.builds(lambda seed, size: (seed * size)[:size], SEED, st.integers(0, 20_000))
SMALL_BLOB = st.builds(lambda seed, size: (seed * size)[:size], SEED, st.integers(0, 300))
# Each is stored as it is by every format: no control characters, nothing that ID3 takes for a
# number, and no "; ", which joins the names in ID3v2.3.
_FREE_NAME = TEXT.map(str.strip).filter(
    lambda name: (
        name
        and not name.isdecimal()
        and not name.startswith("(")
        and name not in ("RX", "CR")
        and "; " not in name
    )
)
GENRES = st.lists(
    st.sampled_from(["Jazz", "Drum & Bass", "Folk, World, & Country", "Tiếng Việt", "Élan"])
    | st.sampled_from(["音楽", "Hip-Hop", "rock", "🎷", "17th Century", "Hi/Lo;"])
    | _FREE_NAME,
    min_size=1,
    max_size=3,
    unique_by=str.casefold,
).map(tuple)
