"""What each command does; the only place where all packages meet.

It may use every package but `cli` and `integrations`. Begin with `tag_library` in `tag.py`, which
is a whole run: `request.py` is what it is asked to do, `tracks.py` holds its tracks, `pending.py`
predicts those without a stored prediction, `results.py` averages over albums and models,
`outcomes.py` decides and writes, `summary.py` counts, with `doubts.py` and `failures.py`, and
`news.py` knows what the last run reported. With `--confirm`, `asking.py` collects the questions and
writes the answers, `confirm.py` asks one after the other, and `answers.py` parses what was typed;
`decided.py` finds what a person decided earlier. `json_lines.py` gives the lines of `--json`.

`apply.py`, `undo.py`, `models.py` and `doctor.py` are the other commands. `doctor.py` is built on
`diagnosis.py`, `diagnosis_lines.py`, `probes.py` and `state_file.py`. `config.py`, `statements.py`
and `usable.py` read and check a config file. `given.py` decides for another program that keeps the
tags.
"""
