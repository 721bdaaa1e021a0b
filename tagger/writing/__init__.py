"""From a decision to the tag on disk, and back.

Policy, journal and tags together: write, undo, and the edits of a report. Begin reading in
`writer.py`.
"""
