"""Files, whatever they contain.

`scan.py` finds tracks, `ignore.py` says what it leaves out, `listed.py` reads paths from a list.
`atomic.py` replaces a file in one step, with what `metadata.py` takes over from the old one;
`patch.py` gives back the old bytes, and `rehearsal.py` edits a file in memory. `process.py` starts
child processes that read untrusted files (with `worker.py` inside them). May use `types` and
`errors` only. Start reading in `scan.py` and `atomic.py`.
"""
