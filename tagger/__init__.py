"""Predict the genres of a music library with an Audio Spectrogram Transformer, and tag it."""
