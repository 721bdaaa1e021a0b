"""How good a model is: metrics, pictures and the model card.

May use `clips`, `networks` and `loop`. Start reading in `metrics.py`.
"""
