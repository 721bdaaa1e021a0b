"""What beets loads for `plugins: tag-genres`; it wants the class of a plugin to be defined here."""

from tagger.integrations.beets.plugin import Plugin


class TagGenresPlugin(Plugin):
    """See `tagger.integrations.beets.plugin`."""
