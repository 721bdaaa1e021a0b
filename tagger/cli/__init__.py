"""The command line: each command parses, calls `app`, prints and exits; one module per command.

It may use every package, but imports nothing heavy before a command runs: `--help` must not wait.
Begin with `main` in `tag.py`; `options.py`, `rules.py` and `tag_options.py` turn options into typed
values, `console.py` and `messages.py` print.
"""

from tagger.cli.tag import main

__all__ = ["main"]
