"""The networks to train: the network of each method, heads, losses and the optimizer.

May use `options`, `errors` and the tagger. Start reading in `methods.py`.
"""
