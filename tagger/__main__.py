"""`python -m tagger` is `tag-genres`."""

from tagger.cli import main

main(prog_name="tag-genres")
