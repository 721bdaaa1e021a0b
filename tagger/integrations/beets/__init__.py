"""The plugin for beets.

beets finds `beetsplug/tag-genres.py` through the `pluginpath` of its config; that file has the name
which people write there. All else is in `plugin` (what beets calls) and `settings` (its config).
"""
