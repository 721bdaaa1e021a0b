"""The command line: each command parses, calls `app`, prints and exits; one module per command.

It may use every package, but imports nothing heavy before a command runs: `--help` must not wait.
Begin with `main` in `tag.py`; `options.py`, `rules.py` and `tag_options.py` turn options into typed
values. `console.py` and `messages.py` print; on a terminal `screen.py` draws the bar, `results.py`
the tables, `folder_diff.py` a dry run and `confirm.py` the questions.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress


def main(prog_name: str | None = None) -> None:
    """Run the command in this process, which then ends: what the script `tag-genres` does."""
    code = 1

    def leave() -> None:
        """End the process; the first function of `atexit` to be registered is called last.

        All is closed and written by then. Python would go on to take apart half a million objects
        of torch and transformers, which takes 1 to 4 s.
        """
        failed = False
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except (OSError, ValueError):
                failed = True
        os._exit(code or 120 * failed)  # 120 as Python does

    atexit.register(leave)
    try:
        from tagger.cli.tag import main as command

        command(prog_name=prog_name)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    except KeyboardInterrupt:  # before the command began, or after its end
        code = 130
        with suppress(OSError):
            os.write(2, b"\n")
        sys.exit(code)


__all__ = ["main"]
