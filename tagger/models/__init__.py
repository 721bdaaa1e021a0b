"""From the name of a model to the probabilities of a batch of windows.

`presets`, `hub`, `download` and `cache` get a checkpoint onto the disk; `find` and `checkpoint`
check what its files say, without torch; `weights`, `dora` and `heads` load its network; `fbank`,
`network` and `device` compute. May import `genres`, `files` and the window plan of `audio`. Start
reading in `find.py` for a name, in `model.py` for a window.
"""
