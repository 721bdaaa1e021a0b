"""Requests to the Hugging Face hub: waits are told, what was cut off goes on, failures say why.

huggingface_hub (2.4) begins a download anew if its process ended, compares sizes alone, and waits
as long as a server says, where a model has hundreds of megabytes. Address, token, proxies and the
place of the cache are its own: `HF_ENDPOINT`, `HF_TOKEN`, `HTTPS_PROXY`, `NO_PROXY`, `HF_HOME`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from tagger.errors import CheckpointError

PAUSES = (1.0, 2.0, 4.0)  # seconds before each further attempt
LONGEST_WAIT = 60  # seconds that a hub may let us wait; above it the user is told instead
LARGEST_LISTING = 64 << 20  # bytes
BLOCK = 1 << 20
BROKEN = (408, 500, 502, 503, 504)  # and soon well again, if a server is lucky

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository: its size in bytes, and the hash of its content."""

    name: str
    size: int
    hash: str  # git's SHA-1 of a blob; of a large file SHA-256


@contextmanager
def told_plainly(name: str, cache: Path) -> Iterator[None]:
    """Turn what fails in the network or in the cache into a `CheckpointError` about `name`."""
    http_error, invalid_address = _http_errors()
    try:
        yield
    except http_error as error:
        raise CheckpointError(
            f"{name} could not be downloaded: no connection to {_host()} ({_harmless(error)}); "
            "check the network and HTTPS_PROXY, or give a folder"
        ) from error
    except OSError as error:
        advice = "set HF_HOME to a folder that can be written"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "make room, or set HF_HOME to a folder on another disk"
        raise CheckpointError(
            f"{name} could not be saved in {cache} ({_harmless(error)}); {advice}"
        ) from error
    except (ValueError, invalid_address) as error:
        raise CheckpointError(
            f"{name} could not be downloaded ({_harmless(error)}); check HF_ENDPOINT and proxies"
        ) from error


def read_listing(url: str, name: str, say: Say) -> dict[str, Any]:
    """The JSON object that the hub answers."""
    with _answer(url, name, say) as response:
        content = b"".join(_bytes(response, LARGEST_LISTING))
    try:
        listing = json.loads(content)
    except (ValueError, RecursionError):
        listing = None
    if not isinstance(listing, dict):
        raise CheckpointError(
            f"{name} could not be downloaded: {_host()} is no Hugging Face hub; check HF_ENDPOINT"
        )
    return listing


def bring(
    url: str, blob: Path, file: HubFile, name: str, say: Say, seen: Callable[[int], object]
) -> None:
    """Bring a file of the hub to the path `blob`, whole and checked, or not at all.

    `seen` is told how many bytes have come, a negative number where some must come again.
    """
    blob.parent.mkdir(parents=True, exist_ok=True)
    scratch = blob.with_name(f"{blob.name}.incomplete")
    _save(url, scratch, file.size, f"{file.name} of {name}", say, seen)
    if content_hash(scratch, file.hash) != file.hash:
        scratch.unlink()
        raise CheckpointError(
            f"{name}: {file.name} came with another content than the hub tells, and was removed; "
            "try again, and if it comes again, the hub or a proxy is broken"
        )
    scratch.replace(blob)


def content_hash(path: Path, like: str) -> str:
    """The hash of a file, of the kind of `like`: SHA-256, or git's SHA-1 of a blob."""
    digest = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    if len(like) == 40:
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _save(
    url: str, path: Path, size: int, name: str, say: Say, seen: Callable[[int], object]
) -> None:
    http_error, _ = _http_errors()
    pauses = iter(PAUSES)
    path.touch()
    if path.stat().st_size > size:  # of another try with another file
        path.write_bytes(b"")
    seen(path.stat().st_size)
    while (before := path.stat().st_size) < size:
        reason = "the connection ended"
        try:
            _append(url, path, size, name, say, seen)
        except http_error as error:
            reason = _harmless(error)
        after = path.stat().st_size
        if after > before:
            pauses = iter(PAUSES)
        elif after < size:
            pause = next(pauses, None)
            if pause is None:
                raise CheckpointError(
                    f"{name} was cut off after {after / 1e6:.1f} of {size / 1e6:.1f} MB "
                    f"({reason}); the same command again goes on from there"
                )
            say(f"{name}: {reason}; going on in {pause:.0f} s")
            time.sleep(pause)


def _append(
    url: str, path: Path, size: int, name: str, say: Say, seen: Callable[[int], object]
) -> None:
    have = path.stat().st_size
    with _answer(url, name, say, start=have) as response, path.open("r+b") as file:
        start = have if response.status_code == 206 else 0
        seen(start - have)
        file.truncate(start)
        file.seek(start)
        for block in _bytes(response, size - start):
            file.write(block)
            seen(len(block))
        file.flush()
        os.fsync(file.fileno())


def _bytes(response: Any, most: int) -> Iterator[bytes]:
    """The body as it comes; `ValueError` for more than was told."""
    for block in response.iter_bytes():
        most -= len(block)
        if most < 0:
            raise ValueError(f"{_host()} sends more than it told")
        yield block


@contextmanager
def _answer(url: str, name: str, say: Say, start: int = 0) -> Iterator[Any]:
    """The answer of a hub, its body not read yet; from byte `start` on if it can."""
    from huggingface_hub import constants, get_session

    headers = _headers()
    if start:
        headers["Range"] = f"bytes={start}-"
    session = get_session()
    for pause in (*PAUSES, None):
        request = session.build_request(
            "GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        )
        response = session.send(request, stream=True)
        status = response.status_code
        if status < 400:
            break
        response.close()
        asked = _retry_after(response.headers) if status in (429, 503) else None
        wait = pause if asked is None or pause is None else asked
        if wait is None or wait > LONGEST_WAIT or status not in (429, *BROKEN):
            raise CheckpointError(f"{name} could not be downloaded: {_refusal(response, asked)}")
        say(f"the hub answers {status}; trying again in {wait:.0f} s")
        time.sleep(wait)
    try:
        yield response
    finally:
        response.close()


def _headers() -> dict[str, str]:
    from huggingface_hub import constants, get_token

    headers = {"User-Agent": "tag-genres", "Accept-Encoding": "identity"}
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    # The HTTP library would repeat it, escaped, in its complaint.
    if token and not re.fullmatch("[!-~]+", token):
        raise CheckpointError("HF_TOKEN holds signs that no token has; copy it again")
    return headers | ({"Authorization": f"Bearer {token}"} if token else {})


def _retry_after(headers: Any) -> float | None:
    """Seconds that a hub asks to wait, in either of the ways that it does."""
    if match := re.search(r"r=0\s*;\s*t=(\d{1,9})", headers.get("ratelimit", "")):
        return float(match[1])
    told = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", told, re.ASCII):
        return float(told)
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except ValueError:
        return None


def _refusal(response: Any, asked: float | None) -> str:
    status = response.status_code
    why = response.headers.get("x-error-code", "")
    if status == 404 and why == "RevisionNotFound":
        return "the hub has no such revision of it (404); check what stands behind the @"
    if status == 404:
        return "the hub has no such model or file (404); check the name"
    if status in (401, 403):
        return (
            f"the hub does not give it to you ({status}): there is no such model, or it is private "
            "or gated; accept its terms on its page, and set HF_TOKEN to a token that may read it"
        )
    if status == 429:
        when = "later" if asked is None else f"in {asked:.0f} seconds"
        return f"the hub wants no more requests for now (429); try again {when}"
    if status >= 500:
        return f"the hub is out of order ({status}); try again later"
    return f"the hub answers {status}"


def _http_errors() -> tuple[type[Exception], type[Exception]]:
    """For a failed request, and for no address, of the library that asks: httpx or httpx2."""
    from huggingface_hub.errors import HTTPError

    library = sys.modules[HTTPError.__module__.partition(".")[0]]
    return HTTPError, library.InvalidURL


def _host() -> str:
    from huggingface_hub import constants

    return _without_secrets(constants.ENDPOINT)


def _harmless(error: BaseException) -> str:
    """What an error says, in one short line and without secrets."""
    text = _without_secrets(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


def _without_secrets(text: str) -> str:
    from huggingface_hub import get_token

    token = get_token()
    text = text.replace(token, "***") if token else text
    return re.sub(r"//[^/@\s]*@", "//***@", text)  # user:password of an address
