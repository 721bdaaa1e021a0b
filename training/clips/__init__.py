"""Labelled clips: where they are, how they are split, and their sound. Begin in `find.py`."""
