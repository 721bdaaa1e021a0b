"""`python -m tagger` is `tag-genres`."""

from tagger.cli.tag import main

main(prog_name="tag-genres")
