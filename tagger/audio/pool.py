"""Child processes that decode chunks of many tracks at once."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from queue import SimpleQueue

from tagger.audio.reader import Placement, Waveforms, read_windows
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError, Crashed, TooLong
from tagger.files.process import Child
from tagger.types import Failure

PATIENCE = 1.0  # s

log = logging.getLogger(__name__)


class DecoderPool(AbstractContextManager["DecoderPool"]):
    """`count` child processes, each of which decodes a chunk for at most `seconds`.

    They start at once and end with the context. A thread per process waits for its answers, so the
    main thread never waits for a pipe. `patience` (s) is for the consumer of the results: how long
    a chunk may delay those requested after it. None always keeps the order of the requests.
    """

    def __init__(self, count: int, seconds: float, patience: float | None = PATIENCE) -> None:
        self.count = count
        self.patience = patience
        self._seconds = seconds
        self._children = [Child(("tagger.audio.reader", "av", "soxr")) for _ in range(count)]
        self._idle: SimpleQueue[Child] = SimpleQueue()
        for child in self._children:
            child.start()
            self._idle.put(child)
        self._threads = ThreadPoolExecutor(count, "decode")
        self._closed = False

    def __exit__(self, *error: object) -> None:
        """End the processes, whatever they are doing."""
        self._closed = True
        for child in self._children:
            child.close()
        self._threads.shutdown(cancel_futures=True)

    def decode(
        self, path: Path, plan: WindowPlan, chunk: int, placement: Placement | None = None
    ) -> Future[Waveforms | Failure]:
        """Decode one chunk of a track's windows as soon as a process is idle."""
        return self._threads.submit(self._decode, path, plan, chunk, placement)

    def _decode(
        self, path: Path, plan: WindowPlan, chunk: int, placement: Placement | None
    ) -> Waveforms | Failure:
        child = self._idle.get()
        try:
            return child.call(self._seconds, read_windows, path, plan, chunk, placement)
        except TooLong as error:
            failure = Failure(path, f"{error} to decode (--decode-timeout allows more)")
        except Crashed as error:
            failure = Failure(path, str(error), error.lasting)
        except AudioError as error:
            failure = Failure(path, str(error))
        except OSError as error:
            failure = Failure(path, error.strerror or "cannot be read", lasting=False)
        finally:
            if child.noise:
                log.info("%s: %s", path, child.noise)
            self._idle.put(child)
        if not self._closed:
            log.info("%s: %s", path, failure.reason)
        return failure
