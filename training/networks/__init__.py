"""The networks to train, and teachers: the network of each method, heads, losses, the optimizer.

May use `options`, `errors` and the tagger. Start reading in `methods.py`.
"""
