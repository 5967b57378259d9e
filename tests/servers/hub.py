"""A hub of datasets as ``huggingface_hub`` 2.4 speaks to it: create, preupload, LFS, commit, and what reads it back.

Written against the client's own requests (huggingface_hub/hf_api.py, _commit_api.py, lfs.py), not against the live hub.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["Hub", "hub"]

COMMIT = "c0ffee" * 6 + "c0ff"
_TEXT = (".md", ".csv", ".json", ".txt")


class Hub:
    """``files`` of the one dataset by path; ``asked`` the requests, as METHOD and path."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.url = ""
        self.lock = threading.Lock()


@contextmanager
def hub() -> Iterator[Hub]:
    """Serve on a free port of this machine."""
    state = Hub()
    handler = type("Bound", (_Handler,), {"hub": state})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_POST(self) -> None:
        path, body = self._begin()
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self._json({"url": f"{self.hub.url}/datasets/{name}"})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            self._json({"files": [self._mode(file["path"]) for file in files]})
        elif path.endswith("/info/lfs/objects/batch"):
            self._json(
                {"transfer": "basic", "objects": [self._place(one) for one in json.loads(body)["objects"]]}
            )
        elif "/commit/" in path:
            self._commit(body)
        elif "/paths-info/" in path:
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else []
            self._json([self._entry(one) for one in wanted if one in self.hub.files])
        else:
            self._answer(404, b"{}")

    def do_PUT(self) -> None:
        path, body = self._begin()
        oid = path.removeprefix("/lfs/")
        right = hashlib.sha256(body).hexdigest() == oid
        if right:
            self.hub.stored[oid] = body
        self._answer(200 if right else 400, b"")

    def do_GET(self) -> None:
        path, _ = self._begin()
        if path == "/api/whoami-v2":
            self._json({"name": "me", "type": "user", "orgs": []})
        elif found := re.match(r"/api/datasets/[^/]+/[^/]+/tree/[^/]+/?(.*)", path):
            self._json(self._tree(found[1]))
        elif found := re.match(r"/datasets/[^/]+/[^/]+/resolve/[^/]+/(.+)", path):
            self._file(found[1])
        elif re.match(r"/api/datasets/[^/]+/[^/]+(/revision/[^/]+)?$", path):
            names = [{"rfilename": name} for name in sorted(self.hub.files)]
            name = "/".join(path.split("/")[3:5])
            self._json(
                {"id": name, "sha": COMMIT, "siblings": names, "private": False, "tags": [], "gated": False}
            )
        else:
            self._answer(404, b"{}")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _begin(self) -> tuple[str, bytes]:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        return path, self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _mode(self, path: str) -> dict[str, Any]:
        regular = path.endswith(_TEXT) or ("/" not in path and "." not in path)
        return {
            "path": path,
            "uploadMode": "regular" if regular else "lfs",
            "shouldIgnore": False,
            "oid": None,
        }

    def _place(self, one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}}

    def _commit(self, body: bytes) -> None:
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                self.hub.files[value["path"]] = self.hub.stored[value["oid"]]
        url = f"{self.hub.url}/datasets/me/it/commit/{COMMIT}"
        self._json({"success": True, "commitUrl": url, "commitOid": COMMIT, "hookOutput": ""})

    def _entry(self, name: str) -> dict[str, Any]:
        data = self.hub.files[name]
        return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}

    def _tree(self, folder: str) -> list[dict[str, Any]]:
        inside = sorted(name for name in self.hub.files if not folder or name.startswith(f"{folder}/"))
        if "recursive=true" in self.path.lower():
            folders = {
                "/".join(name.split("/")[:depth])
                for name in inside
                for depth in range(1, name.count("/") + 1)
            }
        else:
            start = len(folder) + 1 if folder else 0
            folders = {name[:start] + name[start:].split("/")[0] for name in inside if "/" in name[start:]}
            inside = [name for name in inside if "/" not in name[start:]]
        made = [{"type": "directory", "path": one, "oid": "0" * 40, "size": 0} for one in sorted(folders)]
        return made + [self._entry(name) for name in inside]

    def _file(self, name: str) -> None:
        data = self.hub.files.get(name)
        if data is None:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return
        etag = f'"{hashlib.sha1(data).hexdigest()}"'
        told = {"ETag": etag, "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            start, end = int(found[1]), min(int(found[2] or len(data) - 1), len(data) - 1)
            told["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            self._answer(206, data[start : end + 1], told)
            return
        self._answer(200, data, told)

    def _json(self, value: object) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
