"""Labels and genres, as values.

How genres are spelled, the user's vocabulary, which genres a prediction gives, and what is to be
written. Pure: no files but those of rules, and no other package. Begin reading in `policy.py`.
"""
