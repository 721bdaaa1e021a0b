"""From a path to the windows of a track.

Where windows lie, the decoders, and the reader that tries them in order. It may use `files` (the
child process that decodes), and knows nothing of tags. Begin reading in `reader.py`.
"""
