"""A hub of models on this machine: as much of Hugging Face's HTTP interface as an export needs."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_secretTokenOfTheTests"


@dataclass
class Hub:
    """The repositories: name -> commit -> file -> content. refuses: a status for every request."""

    address: str = ""
    repos: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    refuses: int = 0

    def head(self, repo: str) -> str:
        return list(self.repos[repo])[-1]

    def files(self, repo: str) -> dict[str, bytes]:
        return self.repos[repo][self.head(repo)]

    def commit(self, repo: str, lines: list[dict[str, Any]]) -> str:
        files = dict(self.files(repo)) if self.repos[repo] else {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
        number = hashlib.sha1(repr((repo, len(self.repos[repo]))).encode()).hexdigest()
        self.repos[repo][number] = files
        return number


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *words: Any) -> None:
        pass

    def answer(self, content: Any = b"", status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refused(self) -> bool:
        self.hub.asked.append((self.command, self.path))
        if self.command != "PUT" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer({"error": "Invalid username or password."}, 401)
            return True
        if self.hub.refuses:
            self.answer({"error": f"no, {TOKEN}"}, self.hub.refuses)
        return bool(self.hub.refuses)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self) -> None:
        body, path = self.body(), self.path.partition("?")[0]
        if self.refused():
            return
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if name in self.hub.repos:
                there = {"error": "You already created this repo"}
                self.answer(there | {"url": f"{self.hub.address}/{name}"}, 409)
                return
            self.hub.repos[name] = {}
            self.hub.private[name] = asked.get("visibility") == "private"
            self.answer({"url": f"{self.hub.address}/{name}", "id": name})
        elif path.endswith("/preupload/main"):
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "regular" if file["size"] < 100_000 else "lfs",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self.answer({"files": modes})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [
                {
                    "oid": one["oid"],
                    "size": one["size"],
                    "actions": {"upload": {"href": f"{self.hub.address}/large/{one['oid']}"}},
                }
                for one in json.loads(body)["objects"]
            ]
            self.answer({"transfer": "basic", "objects": objects})
        elif "/commit/" in path:
            repo = path.removeprefix("/api/models/").partition("/commit/")[0]
            number = self.hub.commit(repo, [json.loads(line) for line in body.splitlines()])
            url = f"{self.hub.address}/{repo}/commit/{number}"
            self.answer({"commitUrl": url, "commitOid": number, "pullRequestUrl": None})
        elif path.endswith("/validate-yaml"):
            self.answer({"errors": [], "warnings": []})
        else:
            self.answer({"error": f"no such question: {path}"}, 404)

    def do_PUT(self) -> None:
        body = self.body()
        if self.refused():
            return
        self.hub.large[self.path.rpartition("/")[2]] = body
        self.answer()

    def do_GET(self) -> None:
        if self.refused():
            return
        path = self.path.partition("?")[0]
        repo, _, rest = path.strip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if path.startswith("/api/models/"):
            repo = path.removeprefix("/api/models/").partition("/revision/")[0]
            if repo in self.hub.repos:
                self.answer({"id": repo, "sha": None, "siblings": []})
                return
        commits = self.hub.repos.get(repo, {})
        if not commits:
            self.answer({"error": "not found"}, 404, X_Error_Code="RepoNotFound")
            return
        number = self.hub.head(repo) if revision == "main" else revision
        if number not in commits:
            self.answer({"error": "not found"}, 404, X_Error_Code="RevisionNotFound")
        elif file not in commits[number]:
            self.answer({"error": "not found"}, 404, X_Error_Code="EntryNotFound")
        else:
            content = commits[number][file]
            tag = hashlib.sha256(content).hexdigest()
            self.answer(content, ETag=f'"{tag}"', X_Repo_Commit=number)

    do_HEAD = do_GET


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve an empty hub."""
    hub = Hub()
    handler = type("HubHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
