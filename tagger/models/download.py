"""Requests to the Hugging Face hub: waits are reported, downloads resume, errors give a reason.

huggingface_hub (2.4) starts a download anew after a kill, though a model has hundreds of megabytes;
it compares only sizes, and waits as long as a server asks. Address, token, proxies and the folder
of the cache are set as for that library: `HF_ENDPOINT`, `HF_TOKEN`, `HTTPS_PROXY`, `NO_PROXY`,
`HF_HOME`.
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
LONGEST_WAIT = 60  # seconds that a hub may ask us to wait; beyond that we give up with an error
MAX_LISTING = 64 << 20  # bytes
BLOCK = 1 << 20
TEMPORARY = (408, 500, 502, 503, 504)  # statuses of temporary faults

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository: its size in bytes, and the hash of its content."""

    name: str
    size: int
    hash: str  # git's SHA-1 of a blob, or SHA-256 for a large file


@dataclass(frozen=True, slots=True)
class Download:
    """One file to download, its model, and how to report progress."""

    url: str
    file: HubFile
    model: str  # as the user named it
    say: Say
    advance: Callable[[int], object]  # gets the number of new bytes; negative: they come again


@contextmanager
def plain_errors(name: str, cache: Path) -> Iterator[None]:
    """Turn errors of the network and of the cache folder into a `CheckpointError` about `name`."""
    http_error, invalid_address = _http_errors()
    try:
        yield
    except http_error as error:
        raise CheckpointError(
            f"{name} could not be downloaded: no connection to {_host()} ({_printable(error)}); "
            "check the network and HTTPS_PROXY, or give a folder"
        ) from error
    except OSError as error:
        advice = "set HF_HOME to a folder that can be written"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "free some space, or set HF_HOME to a folder on another disk"
        raise CheckpointError(
            f"{name} could not be saved in {cache} ({_printable(error)}); {advice}"
        ) from error
    except (ValueError, invalid_address) as error:
        raise CheckpointError(
            f"{name} could not be downloaded ({_printable(error)}); check HF_ENDPOINT and proxies"
        ) from error


def read_listing(url: str, name: str, say: Say) -> dict[str, Any]:
    """The JSON object at a URL of the hub. Raises as `download_file` does."""
    with _response(url, name, say) as response:
        content = b"".join(_blocks(response, MAX_LISTING))
    try:
        listing = json.loads(content)
    except (ValueError, RecursionError):
        listing = None
    if not isinstance(listing, dict):
        raise CheckpointError(
            f"{name} could not be downloaded: {_host()} is not a Hugging Face hub; "
            "check HF_ENDPOINT"
        )
    return listing


def download_file(download: Download, blob: Path) -> None:
    """Download a file to the path `blob`, complete and with its hash checked, or not at all.

    It continues `BLOB.incomplete` from an earlier attempt. Raises `CheckpointError`, and errors
    that `plain_errors` turns into one.
    """
    file = download.file
    blob.parent.mkdir(parents=True, exist_ok=True)
    scratch = blob.with_name(f"{blob.name}.incomplete")
    _save(download, scratch)
    if content_hash(scratch, file.hash) != file.hash:
        scratch.unlink()
        raise CheckpointError(
            f"{download.model}: the content of {file.name} does not match the hash that the hub "
            "lists, and was removed; try again; if this happens again, the hub or a proxy is broken"
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


def _save(download: Download, path: Path) -> None:
    """Append to `path` until it has the file's size; progress resets the pauses."""
    size, name = download.file.size, f"{download.file.name} of {download.model}"
    http_error, _ = _http_errors()
    pauses = iter(PAUSES)
    path.touch()
    if path.stat().st_size > size:  # left by an earlier attempt with another file
        path.write_bytes(b"")
    download.advance(path.stat().st_size)
    while (before := path.stat().st_size) < size:
        reason = "the connection ended"
        try:
            _append(download, path)
        except http_error as error:
            reason = _printable(error)
        after = path.stat().st_size
        if after > before:
            pauses = iter(PAUSES)
        elif after < size:
            pause = next(pauses, None)
            if pause is None:
                raise CheckpointError(
                    f"{name} was cut off after {after / 1e6:.1f} of {size / 1e6:.1f} MB "
                    f"({reason}); run the same command again to resume"
                )
            download.say(f"{name}: {reason}; resuming in {pause:.0f} s")
            time.sleep(pause)


def _append(download: Download, path: Path) -> None:
    """Request the bytes that `path` lacks, or all bytes if the server does not support ranges."""
    have, name = path.stat().st_size, f"{download.file.name} of {download.model}"
    with (
        _response(download.url, name, download.say, start=have) as response,
        path.open("r+b") as file,
    ):
        start = have if response.status_code == 206 else 0
        download.advance(start - have)
        file.truncate(start)
        file.seek(start)
        for block in _blocks(response, download.file.size - start):
            file.write(block)
            download.advance(len(block))
        file.flush()
        os.fsync(file.fileno())


def _blocks(response: Any, limit: int) -> Iterator[bytes]:
    """The body as it comes; `ValueError` for more than `limit` bytes."""
    for block in response.iter_bytes():
        limit -= len(block)
        if limit < 0:
            raise ValueError(f"{_host()} sends more than it announced")
        yield block


@contextmanager
def _response(url: str, name: str, say: Say, start: int = 0) -> Iterator[Any]:
    """The response of a hub, with its body unread; it starts at byte `start` if the hub can."""
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
        if wait is None or wait > LONGEST_WAIT or status not in (429, *TEMPORARY):
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
    # The error of the HTTP library would contain it, escaped.
    if token and not re.fullmatch("[!-~]+", token):
        raise CheckpointError("HF_TOKEN holds characters that no token has; copy it again")
    return headers | ({"Authorization": f"Bearer {token}"} if token else {})


def _retry_after(headers: Any) -> float | None:
    """Seconds that a hub asks us to wait, from either of the headers it uses."""
    if match := re.search(r"r=0\s*;\s*t=(\d{1,9})", headers.get("ratelimit", "")):
        return float(match[1])
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _refusal(response: Any, asked: float | None) -> str:
    status = response.status_code
    why = response.headers.get("x-error-code", "")
    if status == 404 and why == "RevisionNotFound":
        return "the hub has no such revision of it (404); check what follows the @"
    if status == 404:
        return "the hub has no such model or file (404); check the name"
    if status in (401, 403):
        return (
            f"the hub refuses access ({status}): there is no such model, or it is private or "
            "gated; accept the terms on its page, and set HF_TOKEN to a token that may read it"
        )
    if status == 429:
        when = "later" if asked is None else f"in {asked:.0f} seconds"
        return f"the hub accepts no more requests for now (429); try again {when}"
    if status >= 500:
        return f"the hub is not working ({status}); try again later"
    return f"the hub answers {status}"


def _http_errors() -> tuple[type[Exception], type[Exception]]:
    """The errors of the HTTP library (httpx or httpx2) for a failed request and an invalid URL."""
    from huggingface_hub.errors import HTTPError

    library = sys.modules[HTTPError.__module__.partition(".")[0]]
    return HTTPError, library.InvalidURL


def _host() -> str:
    from huggingface_hub import constants

    return _without_secrets(constants.ENDPOINT)


def _printable(error: BaseException) -> str:
    """The message of an error, on one short line and without secrets."""
    text = _without_secrets(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


def _without_secrets(text: str) -> str:
    from huggingface_hub import get_token

    token = get_token()
    text = text.replace(token, "***") if token else text
    return re.sub(r"//[^/@\s]*@", "//***@", text)  # user:password of an address
