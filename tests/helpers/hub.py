"""A Hugging Face hub on loopback: the files of a few models, and the faults that a hub can have."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin")  # files that a hub knows by SHA-256, not as a git blob


@dataclass
class Hub:
    """What it serves, its faults, and the requests it got."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    token: str = ""  # that every request must bring
    # Answers that come first: a status, and the headers to send with it; 0 hangs up at once.
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)  # bytes of weights after which to hang up
    ranges: bool = True
    wrong: str = ""  # a file served with content that does not match its hash
    elsewhere: str = ""  # an address that weights are fetched from instead
    commit: str = COMMIT
    address: str = ""
    asked: list[str] = field(default_factory=list)
    headers: list[Message] = field(default_factory=list)

    def add(self, repo: str, folder: Path, licence: str = "mit", **more: bytes) -> None:
        """Serve the files of a folder, and others that are given, with "_dot_" for "."."""
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.repos[repo] = files | {name.replace("_dot_", "."): more[name] for name in more}
        self.licences[repo] = licence

    def fetched(self) -> list[str]:
        """Names of the requested files, in order."""
        return [path.rpartition("/")[2] for path in self.asked if "/resolve/" in path]


def list_entry(name: str, content: bytes) -> dict[str, Any]:
    """The entry of a file in the hub's list."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    large = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    entry = {"rfilename": name, "size": len(content), "blobId": blob}
    return entry | ({"lfs": large} if name.endswith(LARGE) else {})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        hub = self.hub
        hub.asked.append(self.path)
        hub.headers.append(self.headers)
        if hub.refusals:
            status, headers = hub.refusals.pop(0)
            return self.send(status, b"{}", headers) if status else self.hang_up()
        if hub.token and self.headers["Authorization"] != f"Bearer {hub.token}":
            return self.send(401, b"{}")
        # A proxy is asked for the whole address.
        path = self.path.partition("?")[0].removeprefix(hub.address).lstrip("/")
        parts = path.removeprefix("api/models/").split("/")
        files = hub.repos.get("/".join(parts[:2]))
        if files is None:
            return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if path.startswith("api/models/"):
            return self.about("/".join(parts[:2]), parts[3])
        name = parts[-1]
        if hub.elsewhere and name.endswith(LARGE):
            return self.send(302, b"", {"Location": f"{hub.elsewhere}/{path}"})
        return self.file(name, files[name])

    def about(self, repo: str, revision: str) -> None:
        hub = self.hub
        if revision not in ("main", hub.commit, hub.commit[:7]):
            return self.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        siblings = [list_entry(name, content) for name, content in hub.repos[repo].items()]
        tags = [f"license:{hub.licences[repo]}"]
        answer = {"id": repo, "sha": hub.commit, "siblings": siblings, "tags": tags}
        return self.send(200, json.dumps(answer).encode())

    def file(self, name: str, content: bytes) -> None:
        hub = self.hub
        if name == hub.wrong:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start, end = 0, len(content)
        asked = self.headers.get("Range")
        if asked and hub.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        cut = name.endswith(LARGE) and bool(hub.cuts)
        if cut:
            end = min(end, start + hub.cuts.pop(0))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:end])
        if cut:
            self.hang_up()

    def send(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, format: str, *values: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore that a client hangs up, as it does after a refusal."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve it while the block runs; afterwards nothing answers at its address."""
    server = Server(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
