"""Changes of the music that a network learns from. Begin reading in `waveforms.py`."""
