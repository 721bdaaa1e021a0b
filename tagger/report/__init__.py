"""The CSV report, and how untrusted text is shown. Begin reading in `table.py`."""
