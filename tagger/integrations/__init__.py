"""Plugins for other programs, on top of the commands. Start reading with `beets.plugin`."""
