"""The report as a CSV or a workbook, playlists, and how untrusted text is shown.

`table.py` and `workbook.py` write the report, `target.py` replaces an older one, `playlists.py`
writes a playlist for each genre; `csv_reader.py` and `workbook_reader.py` read what a person saved,
`code_pages.py` says what its bytes may mean, `escape.py` escapes text for spreadsheets, terminals
and logs, and `streams.py` says what a stream can show.
May use `genres`, `files`, `types` and `errors`. Start reading in `table.py`.
"""
