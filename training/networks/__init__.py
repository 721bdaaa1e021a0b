"""What learns: methods, the student's shape, heads and the optimizer. Begin in `methods.py`."""
