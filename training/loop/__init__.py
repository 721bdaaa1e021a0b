"""The training loop: which crops a network learns from, and when it is validated and saved.

May use `clips`, `augment`, `networks` and `options`. Start reading in `trainer.py`; `crops.py` says
why a killed run resumes as if nothing had happened.
"""
