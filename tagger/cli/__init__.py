"""The command line: parse, call `app`, print, exit. It imports nothing heavy. Begin in `tag.py`."""

from tagger.cli.tag import main

__all__ = ["main"]
