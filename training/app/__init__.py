"""One module per command: `finetune.py` and `evaluate.py` combine the other packages.

Uses every other package of `training`; only the two scripts use it. Start reading in `finetune.py`.
"""
