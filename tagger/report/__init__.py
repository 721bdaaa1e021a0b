"""The CSV report, and how untrusted text is shown.

`table.py` writes the report, `target.py` replaces an older one, `csv_reader.py` reads a CSV that a
person saved, and `escape.py` escapes text for spreadsheets, terminals and logs. May use `files`,
`types` and `errors`. Start reading in `table.py`.
"""
