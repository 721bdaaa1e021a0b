"""The training loop: crops, targets, the trainer and its callbacks. Begin in `trainer.py`."""
