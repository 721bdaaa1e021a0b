"""The training loop: which crops a network learns from, when it is validated and saved.

May use `clips`, `augment`, `networks` and `options`. Begin reading in `trainer.py`; `crops.py` says
why a killed run resumes as if nothing had happened.
"""
