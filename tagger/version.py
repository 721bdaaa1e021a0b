"""The version of the package; in a separate file, so that every module may import it."""

__version__ = "0.1.0"
