"""Files, whatever they contain.

Here are: which files are tracks (`scan.py`), how a file is replaced in one step (`atomic.py`), and
the child process in which untrusted files are read (`process.py`, and `worker.py` inside it). May
use `types` and `errors` only. Start reading in `scan.py` and `atomic.py`.
"""
