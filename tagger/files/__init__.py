"""Files, whatever they contain.

`scan.py` finds tracks, `atomic.py` replaces a file in one step, `rehearsal.py` edits one in memory,
and `process.py` starts child processes that read untrusted files (with `worker.py` inside them).
May use `types` and `errors` only. Start reading in `scan.py` and `atomic.py`.
"""
