"""Stand-ins for GitHub and GitLab: a local server over a real bare repository that speaks the documented shapes and
nothing else. A call that it does not know is written down and refused: the tests ask that there were none."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Answer = tuple[int, Any]


class Fake:
    """The state of one forge with one repository, `team/shop`. `down` makes it answer 503, `drafts` whether its plan has
    draft pull requests; `calls` is what was asked, `unknown` what it does not know."""

    kind = ""
    TOKEN = "forge-token"

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.pulls: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.unknown: list[str] = []
        self.down, self.drafts, self.public = False, True, False
        self.brought: dict[str, list[tuple[int, str | None]]] = {}  # commit -> number and moment of merging
        self.address = ""
        self.said: list[dict[str, Any]] = []
        self.reviewed: list[dict[str, Any]] = []
        self.on_code: list[dict[str, Any]] = []  # comments of a review that stand on lines
        self.rights: dict[str, str] = {"ann": "write", "ada": "report"}  # everybody else may only read
        self.checks: list[dict[str, Any]] = []

    def comment_on(self, number: int, who: str, text: str, line: int | None = None) -> None:
        """A comment of somebody: on a line of the fixed file, or below the draft."""
        raise NotImplementedError

    def answers(self) -> list[str]:
        """What was said by the holder of the token."""
        raise NotImplementedError

    def merge(self, number: int) -> str:
        """Merge a draft as a person over there would; the commit on the main branch."""
        raise NotImplementedError

    def merged(self, branch: str) -> str:
        """A merge commit of a branch on main."""
        tree = self.git("rev-parse", f"refs/heads/{branch}^{{tree}}")
        parents = ("-p", self.git("rev-parse", "refs/heads/main"), "-p", f"refs/heads/{branch}")
        sha = self.git("commit-tree", tree, *parents, "-m", f"Merge {branch}")
        self.git("update-ref", "refs/heads/main", sha)
        return sha

    def routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        raise NotImplementedError

    def allowed(self, headers: Any) -> bool:
        raise NotImplementedError

    def answer(self, method: str, target: str, headers: Any, body: Any) -> Answer:
        parts = urlsplit(target)
        path, query = parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.calls.append(f"{method} {path}")
        if self.down:
            return 503, {"message": "down for a good two hours"}
        if not self.allowed(headers):
            return 401, {"message": "Bad credentials"}
        for wanted, pattern, act in self.routes():
            found = re.fullmatch(pattern, path)
            if wanted == method and found:
                return act(*(unquote(group) for group in found.groups()), query=query, body=body)
        self.unknown.append(f"{method} {target}")
        return 404, {"message": "Not Found"}

    def git(self, *words: str, stdin: bytes = b"", index: Path | None = None) -> str:
        env = {"GIT_AUTHOR_NAME": "f", "GIT_AUTHOR_EMAIL": "f@example.com", "GIT_COMMITTER_NAME": "f",
               "GIT_COMMITTER_EMAIL": "f@example.com", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"}  # fmt: skip
        if index is not None:
            env["GIT_INDEX_FILE"] = str(index)
        done = subprocess.run(
            ["git", "--git-dir", str(self.repository), *words],
            input=stdin,
            env=env,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise LookupError(done.stderr.decode())
        return done.stdout.decode().strip()

    @staticmethod
    def page(rows: list[Any], query: Any) -> list[Any]:
        """One page of a list."""
        size, number = int(query.get("per_page", 30)), int(query.get("page", 1))
        assert size <= 100
        return rows[(number - 1) * size : number * size]

    def messages(self, since: str, head: str) -> list[tuple[str, str]]:
        """The commits between two, oldest first: sha and message."""
        shas = self.git("rev-list", "--reverse", f"{since}..{head}").split()
        return [(sha, self.git("log", "-1", "--format=%B", sha)) for sha in shas]

    def tree_with(self, base: str, entries: list[tuple[str, str, str | None]]) -> str:
        """A tree: `base` with entries (mode, path, blob or None)."""
        index = self.repository / "fake-index"
        index.unlink(missing_ok=True)
        self.git("read-tree", base, index=index)
        for mode, path, blob in entries:
            if blob is None:
                self.git("update-index", "--force-remove", "--", path, index=index)
            else:
                self.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", index=index)
        return self.git("write-tree", index=index)


class FakeGitHub(Fake):
    """Enterprise Server: its API is below /api/v3."""

    kind = "github"

    def allowed(self, headers: Any) -> bool:
        return bool(
            headers.get("Authorization") == f"Bearer {self.TOKEN}" and headers.get("X-GitHub-Api-Version")
        )

    def routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        repo = "/api/v3/repos/team/shop"
        return [
            ("GET", repo, self.about),
            ("GET", repo + "/git/commits/([0-9a-f]{40})", self.commit),
            ("POST", repo + "/git/blobs", self.new_blob),
            ("POST", repo + "/git/trees", self.new_tree),
            ("POST", repo + "/git/commits", self.new_commit),
            ("GET", repo + "/git/ref/heads/(.+)", self.ref),
            ("POST", repo + "/git/refs", self.new_ref),
            ("GET", repo + "/pulls", self.list_pulls),
            ("POST", repo + "/pulls", self.new_pull),
            ("GET", repo + "/pulls/([0-9]+)", self.pull),
            ("POST", repo + "/issues/([0-9]+)/labels", self.label),
            ("GET", repo + "/commits/([0-9a-f]{40})/pulls", self.pulls_of),
            ("POST", repo + "/pulls/([0-9]+)/requested_reviewers", self.ask_reviewers),
            ("PATCH", repo + "/git/refs/heads/(.+)", self.move_ref),
            ("GET", repo + "/commits/([0-9a-f]{40})", self.author),
            ("GET", repo + "/commits/([0-9a-f]{40})/check-runs", self.check_runs),
            ("GET", repo + "/issues/([0-9]+)/comments", self.comments),
            ("GET", repo + "/pulls/([0-9]+)/comments", self.code_comments),
            ("GET", repo + "/pulls/([0-9]+)/reviews", self.reviews),
            ("POST", repo + "/issues/([0-9]+)/comments", self.new_comment),
            ("POST", repo + "/pulls/([0-9]+)/comments/([0-9]+)/replies", self.new_reply),
            ("GET", repo + "/collaborators/([^/]+)/permission", self.permission),
            ("GET", repo + "/compare/([0-9a-f]{40})\\.\\.\\.([0-9a-f]{40})", self.compare),
        ]

    def pulls_of(self, sha: str, query: Any, body: Any) -> Answer:
        return 200, [{"number": number, "merged_at": at} for number, at in self.brought.get(sha, [])]

    def about(self, query: Any, body: Any) -> Answer:
        return 200, {"default_branch": "main", "visibility": "public" if self.public else "private"}

    def commit(self, sha: str, query: Any, body: Any) -> Answer:
        try:
            return 200, {"sha": sha, "tree": {"sha": self.git("rev-parse", f"{sha}^{{tree}}")}}
        except LookupError:
            return 404, {"message": "Not Found"}

    def new_blob(self, query: Any, body: Any) -> Answer:
        assert body["encoding"] == "base64"
        return 201, {"sha": self.git("hash-object", "-w", "--stdin", stdin=base64.b64decode(body["content"]))}

    def new_tree(self, query: Any, body: Any) -> Answer:
        entries = [
            (each["mode"], each["path"], each["sha"]) for each in body["tree"] if each["type"] == "blob"
        ]
        return 201, {"sha": self.tree_with(body["base_tree"], entries)}

    def new_commit(self, query: Any, body: Any) -> Answer:
        (parent,) = body["parents"]
        return 201, {"sha": self.git("commit-tree", body["tree"], "-p", parent, "-m", body["message"])}

    def ref(self, branch: str, query: Any, body: Any) -> Answer:
        try:
            return 200, {"object": {"sha": self.git("rev-parse", "--verify", "-q", f"refs/heads/{branch}")}}
        except LookupError:
            return 404, {"message": "Not Found"}

    def new_ref(self, query: Any, body: Any) -> Answer:
        self.git("update-ref", body["ref"], body["sha"], "0" * 40)
        return 201, {"ref": body["ref"]}

    def list_pulls(self, query: Any, body: Any) -> Answer:
        owner, _, branch = query["head"].partition(":")
        assert (owner, query["state"]) == ("team", "all")
        return 200, [pull for pull in self.pulls if pull["head"]["ref"] == branch]

    def new_pull(self, query: Any, body: Any) -> Answer:
        if body["draft"] and not self.drafts:
            return 422, {"message": "Draft pull requests are not supported in this repository."}
        number = len(self.pulls) + 1
        pull = {
            "number": number, "state": "open", "draft": body["draft"], "merged_at": None, "title": body["title"],
            "body": body["body"], "head": {"ref": body["head"]}, "base": {"ref": body["base"]}, "labels": [],
            "html_url": f"{self.address}/team/shop/pull/{number}", "closed_at": None, "merge_commit_sha": None,
        }  # fmt: skip
        self.pulls.append(pull)
        return 201, pull

    def pull(self, number: str, query: Any, body: Any) -> Answer:
        pull = self.pulls[int(number) - 1]
        pull["head"]["sha"] = self.git("rev-parse", f"refs/heads/{pull['head']['ref']}")
        return 200, pull

    def merge(self, number: int) -> str:
        pull = self.pulls[number - 1]
        sha, at = self.merged(pull["head"]["ref"]), "2026-11-21T12:00:00Z"
        pull |= {"state": "closed", "merged_at": at, "closed_at": at, "merge_commit_sha": sha}
        return sha

    def label(self, number: str, query: Any, body: Any) -> Answer:
        self.pulls[int(number) - 1]["labels"] += body["labels"]
        return 200, []

    def ask_reviewers(self, number: str, query: Any, body: Any) -> Answer:
        if "outsider" in body.get("reviewers", []):
            return 422, {"message": "Reviews may only be requested from collaborators."}
        asked = self.pulls[int(number) - 1].setdefault("asked", [])
        asked += [*body.get("reviewers", []), *body.get("team_reviewers", [])]
        return 201, {}

    def move_ref(self, branch: str, query: Any, body: Any) -> Answer:
        ref = f"refs/heads/{branch}"
        if not body["force"] and self.git("merge-base", ref, body["sha"]) != self.git("rev-parse", ref):
            return 422, {"message": "Update is not a fast forward"}
        self.git("update-ref", ref, body["sha"])
        return 200, {"ref": f"refs/heads/{branch}"}

    def author(self, sha: str, query: Any, body: Any) -> Answer:
        return 200, {"sha": sha, "author": {"login": "ada"}}

    def check_runs(self, sha: str, query: Any, body: Any) -> Answer:
        return 200, {"total_count": len(self.checks), "check_runs": self.page(self.checks, query)}

    def comments(self, number: str, query: Any, body: Any) -> Answer:
        return 200, self.page(self.said, query)

    def code_comments(self, number: str, query: Any, body: Any) -> Answer:
        return 200, self.page(self.on_code, query)

    def reviews(self, number: str, query: Any, body: Any) -> Answer:
        return 200, self.page(self.reviewed, query)

    def new_comment(self, number: str, query: Any, body: Any) -> Answer:
        at = "2026-11-21T13:00:00Z"
        made = {"id": 900 + len(self.said), "body": body["body"], "user": {"login": "bot"}, "created_at": at}
        self.said.append(made)
        return 201, made

    def new_reply(self, number: str, thread: str, query: Any, body: Any) -> Answer:
        if not any(str(each["id"]) == thread and "in_reply_to_id" not in each for each in self.on_code):
            return 404, {"message": "Not Found"}
        at = "2026-11-21T13:00:00Z"
        made = {
            "id": 800 + len(self.on_code), "body": body["body"], "user": {"login": "bot"}, "created_at": at,
            "in_reply_to_id": int(thread), "path": "shop/rates.py", "line": 2, "side": "RIGHT",
        }  # fmt: skip
        self.on_code.append(made)
        return 201, made

    def permission(self, who: str, query: Any, body: Any) -> Answer:
        return 200, {"permission": self.rights.get(who, "read"), "user": {"login": who}}

    def compare(self, since: str, head: str, query: Any, body: Any) -> Answer:
        found = [{"sha": sha, "commit": {"message": text}} for sha, text in self.messages(since, head)]
        return 200, {"status": "ahead", "total_commits": len(found), "commits": found}

    def comment_on(self, number: int, who: str, text: str, line: int | None = None) -> None:
        """A comment of somebody: on a line of the fixed file, or below the draft."""
        made = {"id": number, "body": text, "user": {"login": who}, "created_at": "2026-11-21T12:00:00Z"}
        place = {"path": "shop/rates.py", "line": line, "start_line": None, "side": "RIGHT"}
        (self.on_code if line else self.said).append(made | place if line else made)

    def answers(self) -> list[str]:
        return [each["body"] for each in (*self.said, *self.on_code) if each["user"]["login"] == "bot"]


class FakeGitLab(Fake):
    """A self-managed GitLab."""

    kind = "gitlab"

    def allowed(self, headers: Any) -> bool:
        return bool(headers.get("PRIVATE-TOKEN") == self.TOKEN)

    def routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        project = "/api/v4/projects/team%2Fshop"
        return [
            ("GET", project, self.about),
            ("GET", project + "/repository/branches/([^/]+)", self.branch),
            ("GET", project + "/repository/compare", self.compare),
            ("GET", project + "/repository/files/([^/]+)", self.file),
            ("POST", project + "/repository/commits", self.new_commit),
            ("GET", project + "/merge_requests", self.list_requests),
            ("POST", project + "/merge_requests", self.new_request),
            ("GET", project + "/merge_requests/([0-9]+)", self.request),
            ("GET", project + "/repository/commits/([0-9a-f]{40})/merge_requests", self.requests_of),
            ("GET", project + "/merge_requests/([0-9]+)/discussions", self.discussions),
            ("GET", project + "/merge_requests/([0-9]+)/discussions/([0-9a-z]+)", self.discussion),
            ("POST", project + "/merge_requests/([0-9]+)/discussions/([0-9a-z]+)/notes", self.new_note),
            ("GET", project + "/members/all/([0-9]+)", self.member),
            ("GET", project + "/repository/commits/([0-9a-f]{40})", self.commit),
            ("GET", project + "/merge_requests/([0-9]+)/pipelines", self.pipelines),
            ("GET", "/api/v4/users", self.users),
        ]

    def requests_of(self, sha: str, query: Any, body: Any) -> Answer:
        return 200, [{"iid": number, "merged_at": at} for number, at in self.brought.get(sha, [])]

    def about(self, query: Any, body: Any) -> Answer:
        return 200, {"default_branch": "main", "visibility": "public" if self.public else "private"}

    def branch(self, name: str, query: Any, body: Any) -> Answer:
        try:
            return 200, {
                "name": name,
                "commit": {"id": self.git("rev-parse", "--verify", "-q", f"refs/heads/{name}")},
            }
        except LookupError:
            return 404, {"message": "404 Branch Not Found"}

    def compare(self, query: Any, body: Any) -> Answer:
        found = self.messages(query["from"], f"refs/heads/{query['to']}")
        return 200, {"commits": [{"id": sha, "message": text} for sha, text in found]}

    def file(self, path: str, query: Any, body: Any) -> Answer:
        try:
            return 200, {
                "file_path": path,
                "blob_id": self.git("rev-parse", "--verify", "-q", f"{query['ref']}:{path}"),
            }
        except LookupError:
            return 404, {"message": "404 File Not Found"}

    def new_commit(self, query: Any, body: Any) -> Answer:
        ref = f"refs/heads/{body['branch']}"
        there = self.git("for-each-ref", "--format=%(objectname)", ref)
        if body.get("start_sha") and there and not body.get("force"):
            return 400, {"message": f"A branch called '{body['branch']}' already exists."}
        parent = body.get("start_sha") or there
        entries: list[tuple[str, str, str | None]] = []
        for action in body["actions"]:
            has = self.file(action["file_path"], {"ref": parent}, None)[0] == 200
            if has == (action["action"] == "create"):
                return 400, {"message": f"A file with this name {'exists' if has else 'does not exist'}"}
            if action["action"] == "delete":
                entries.append(("100644", action["file_path"], None))
                continue
            assert action["encoding"] == "base64"
            blob = self.git("hash-object", "-w", "--stdin", stdin=base64.b64decode(action["content"]))
            entries.append(("100755" if action["execute_filemode"] else "100644", action["file_path"], blob))
        tree = self.tree_with(parent, entries)
        sha = self.git("commit-tree", tree, "-p", parent, "-m", body["commit_message"])
        self.git("update-ref", ref, sha)
        return 201, {"id": sha}

    def list_requests(self, query: Any, body: Any) -> Answer:
        assert query["state"] == "all"
        return 200, [each for each in self.pulls if each["source_branch"] == query["source_branch"]]

    def new_request(self, query: Any, body: Any) -> Answer:
        number = len(self.pulls) + 1
        made = {
            **body, "iid": number, "state": "opened", "draft": body["title"].startswith("Draft: "),
            "web_url": f"{self.address}/team/shop/-/merge_requests/{number}",
        }  # fmt: skip
        self.pulls.append(made)
        return 201, made

    def request(self, number: str, query: Any, body: Any) -> Answer:
        found = self.pulls[int(number) - 1]
        found["sha"] = self.git("rev-parse", f"refs/heads/{found['source_branch']}")
        return 200, found

    def threads(self) -> list[dict[str, Any]]:
        """Each comment that answers none is a thread of its own."""
        begun = [each for each in (*self.said, *self.on_code) if "thread" not in each]
        return [
            {"id": f"t{each['id']}", "notes": [each, *(a for a in self.said if a.get("thread") == f"t{each['id']}")]}
            for each in begun
        ]  # fmt: skip

    def discussions(self, number: str, query: Any, body: Any) -> Answer:
        return 200, self.page(self.threads(), query)

    def discussion(self, number: str, thread: str, query: Any, body: Any) -> Answer:
        found = [each for each in self.threads() if each["id"] == thread]
        return (200, found[0]) if found else (404, {"message": "404 Discussion Not Found"})

    def new_note(self, number: str, thread: str, query: Any, body: Any) -> Answer:
        author, at = {"username": "bot"}, "2026-11-21T13:00:00Z"
        made = {
            "id": 900 + len(self.said),
            "body": body["body"],
            "author": author,
            "created_at": at,
            "thread": thread,
        }
        self.said.append(made)
        return 201, made

    def comment_on(self, number: int, who: str, text: str, line: int | None = None) -> None:
        """A comment of somebody: on a line of the fixed file, or below the draft."""
        made = {"id": number, "body": text, "author": {"username": who}, "created_at": "2026-11-21T12:00:00Z"}
        head = self.git("rev-parse", f"refs/heads/{self.pulls[0]['source_branch']}")
        place = {"position": {"new_path": "shop/rates.py", "new_line": line, "head_sha": head}}
        (self.on_code if line else self.said).append(made | place if line else made)

    def answers(self) -> list[str]:
        return [each["body"] for each in self.said if each["author"]["username"] == "bot"]

    def pipelines(self, number: str, query: Any, body: Any) -> Answer:
        return 200, self.page(self.checks, query)

    def commit(self, sha: str, query: Any, body: Any) -> Answer:
        return 200, {"id": sha, "author_name": "Ada", "author_email": "ada@example.com"}

    def member(self, number: str, query: Any, body: Any) -> Answer:
        who = next((name for name, known in self.people().items() if str(known) == number), "")
        level = {"write": 30, "report": 20}.get(self.rights.get(who, ""), 0)
        return (
            (200, {"id": int(number), "access_level": level})
            if level
            else (404, {"message": "404 Not found"})
        )

    def people(self) -> dict[str, int]:
        return {name: 7 + at for at, name in enumerate(("ada", "ann", "eve", "team"))}

    def users(self, query: Any, body: Any) -> Answer:
        names = [query["username"]] if "username" in query else [str(query["search"]).partition("@")[0]]
        known = self.people()
        return 200, [{"id": known.get(name, 99), "username": name} for name in names if name != "outsider"]

    def merge(self, number: int) -> str:
        request = self.pulls[number - 1]
        sha = self.merged(request["source_branch"])
        request |= {"state": "merged", "merged_at": "2026-11-21T12:00:00Z", "merge_commit_sha": sha}
        return sha


@contextmanager
def serving(fake: Fake) -> Iterator[Fake]:
    """The forge at an address of its own (`fake.address`)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.respond()

        def do_POST(self) -> None:
            self.respond()

        def do_PATCH(self) -> None:
            self.respond()

        def respond(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, answer = fake.answer(
                self.command, self.path, self.headers, json.loads(sent) if sent else None
            )
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join(timeout=30)
