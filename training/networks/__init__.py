"""The networks that learn: what each method trains, heads, losses and the optimizer.

May use `options`, `errors` and the tagger. Begin reading in `methods.py`.
"""
