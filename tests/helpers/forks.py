"""One fork server for all tests that start a function of ours in a process and kill it.

There is one for each process of pytest, whichever test comes first; so it imports for all of them.
It is multiprocessing's own, which pickles the function and its arguments; what it cannot do is to
give a process the environment, folder and streams of a command: `helpers/server.py` does.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

# 6 s of CPU; a run of the command imports them only where it needs them.
PRELOADED = [
    "pytest",
    "pandas",
    "tagger.models.heads",
    "tagger.inference.predict",
    "training.app.finetune",
    "audiomentations",
    "transformers.models.audio_spectrogram_transformer.modeling_audio_spectrogram_transformer",
]


def fork_server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context
