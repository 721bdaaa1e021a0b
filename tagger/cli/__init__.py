"""The command line: each command parses, calls `app`, prints and exits; one module per command.

It may use every package, but imports nothing heavy before a command runs: `--help` must not wait.
Begin with `main` in `tag.py`; `options.py` shows how options become typed values, `console.py` and
`messages.py` what is printed.
"""

from tagger.cli.tag import main

__all__ = ["main"]
