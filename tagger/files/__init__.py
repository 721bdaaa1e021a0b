"""Files, whatever is in them.

Which files are tracks, how a file is replaced in one step, and the child process that untrusted
files are read in. It uses no other package. Begin reading in `scan.py` and `atomic.py`.
"""
