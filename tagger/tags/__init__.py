"""The genre of one file, in every container: reading, writing, proof that nothing else changed.

It may use `audio`, `files` and `genres`. Start with `genre_tag.py`, the functions that other
packages call; `isolated.py` runs those that read in a child process.

- All containers: `formats.py` has a row for each family of them, `fields.py` reads and writes their
  genre fields, `genre_names.py` turns these into genres, `field_names.py` has the names of the
  other fields, and `new_fields.py` says what a write puts where.
- Kinds of tag: `containers.py` finds an ID3v2 tag, `id3v2.py` splits it, `text_frames.py` makes
  frames, `id3_versions.py` converts it. `ape.py`, `trailers.py` (all at the end of a file),
  `riff_info.py` and `mp4.py` (with `atoms.py` and `mp4_places.py`) are the others. `codepages.py`
  is for texts without Unicode, `parts.py` for bytes of a file.
- Where a write is refused: `stray.py` and `second_genres.py` find tags that it cannot keep in step,
  `read_only.py` reads containers that are never written.
- Proof: `verify.py` and `verify_mp4.py` compare everything that must not change; `rehearse.py` does
  all this in memory, for a dry run.
- `fingerprint.py` hashes the audio that `audio_boxes.py` (MP4), `audio_chunks.py` and
  `audio_pages.py` (Ogg, Matroska) find.
"""
