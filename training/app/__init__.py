"""One module per command: `finetune.py`, `evaluate.py` and `bank.py` combine the other packages.

Uses every other package of `training`; only the scripts use it. Start reading in `finetune.py`.
"""
