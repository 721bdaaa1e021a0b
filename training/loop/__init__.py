"""The training loop: which crops a network learns from, when it is validated and saved.

May use `clips`, `augment`, `networks` and `options`. Begin reading in `trainer.py`; `crops.py` says
why a run that was killed goes on as if nothing had happened.
"""
