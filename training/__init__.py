"""Fine-tuning and evaluation of AST genre models, by the scripts `finetune.py` and `evaluate.py`.

All packages here may use `tagger`, which never uses them. Among themselves, each uses only those
before it: `errors`; `options`, the typed options of both scripts; `clips`, `augment` and
`networks`, which do not use each other; `loop`; `evaluation`; `train`, one run, and `search`, many
of them; `app`, one module per script; the scripts. `tests/test_layers.py` checks this.

Start reading in `app/finetune.py`, where a run is a list of calls, and go on with `train.py`.
"""
