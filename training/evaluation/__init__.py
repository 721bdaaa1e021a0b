"""How good a model is: figures, pictures and the model card. Begin reading in `scores.py`."""
