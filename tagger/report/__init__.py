"""The CSV report, and how untrusted text is shown.

Here are: writing the report (`table.py`), reading a CSV that a person saved (`csv_reader.py`), and
escaping text for spreadsheets, terminals and logs (`escape.py`). May use `files` and what is below
it. Start reading in `table.py`.
"""
