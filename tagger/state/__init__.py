"""What is remembered between runs: one SQLite file.

Predictions, failures, tags as they were read, and the journal of changes. Begin reading in
`store.py`.
"""
