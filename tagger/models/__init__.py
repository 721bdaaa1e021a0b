"""From the name of a model to the probabilities of a batch of windows.

Presets, the hub, checkpoints and their weights, networks, front ends and devices. It may use
`genres` and the window plan of `audio`. Begin reading in `model.py`.
"""
