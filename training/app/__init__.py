"""One module a command: `finetune.py` and `evaluate.py`, where the other packages meet.

Uses every other package of `training`; only the two scripts use it. Begin reading in `finetune.py`.
"""
