"""From the name of a model to the probabilities of a batch of windows.

`presets`, `hub`, `download` and `cache` download a checkpoint; `find`, `folders`, `checkpoint`,
`names` and `adapters` check the content of its JSON files, without torch; `weights`, `wrappers`,
`lora`, `dora` and `heads` load its network; `fbank`, `network` and `device` compute. It may use
`genres` and the window plan of `audio`. Start reading in `find.py` for the name of a model, in
`model.py` for the computation.
"""
