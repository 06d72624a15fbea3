"""Container and build paths against repository paths: normalising, suffixes, which places are libraries'."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SCHEME = re.compile(r"^(?:webpack(?:-internal)?|app|file|https?|ng|vite|turbopack|rsc|capacitor|ionic):/+")
_HOST = re.compile(r"^https?://[^/]+/")
_QUERY = re.compile(r"[?#].*$")
_WEBPACK = re.compile(r"^(?:\[[^\]]*\]/|\([^)]*\)/|_N_E/|\./|@fs/)+")
_STANDARD = re.compile(
    r"(?:^|/)lib(?:64)?/(?:python|pypy)\d[\d.]*/(?!(?:site|dist)-packages/)|<frozen [\w.]+>$|^<.*>$"
    r"|^node:|^internal/|(?:^|/)usr/local/go/src/|^/rustc/|(?:^|/)lib/ruby/\d[\d.]*/(?!gems/)|^webpack/(?:runtime|bootstrap)|^/usr/include/"
)
_STANDARD_MODULES = re.compile(r"^(?:java|javax|jdk|sun|com\.sun|kotlin|kotlinx|scala|System|Microsoft)\.")
_UNLIKELY = frozenset(
    {"tests", "test", "testing", "docs", "examples", "vendor", "_vendor", "third_party", "build", "spec"}
)
_PACKAGES = (
    re.compile(r"(?:^|/)(?:site|dist)-packages/(?P<rest>(?P<package>[^/]+).*)$"),
    re.compile(r"(?:^|/)node_modules/(?:\.pnpm/[^/]+/node_modules/)?(?P<package>(?:@[^/]+/)?[^/]+)/(?P<rest>.+)$"),
    re.compile(r"(?:^|/)pkg/mod/(?P<package>[^@]+)@[^/]+/(?P<rest>.+)$"),
    re.compile(r"^(?P<package>[^@/][^@]*)@v\d[^/]*/(?P<rest>.+\.go)$"),
    re.compile(r"(?:^|/)(?:bundler/)?gems/(?P<package>[A-Za-z][\w-]*?)-[0-9a-f][\w.]*/(?P<rest>.+)$"),
    re.compile(r"(?:^|/)\.cargo/(?:registry/src/[^/]+|git/checkouts)/(?P<package>[A-Za-z][\w-]*?)-[0-9a-f][\w.]*/(?P<rest>.+)$"),
    re.compile(r"(?:^|/)vendor/(?P<package>[a-z0-9_.-]+/[a-z0-9_.-]+)/(?P<rest>.+\.php)$"),
)  # fmt: skip
_BUILT = {
    ".js": (".ts", ".tsx", ".jsx", ".mjs"), ".jsx": (".tsx",), ".mjs": (".mts", ".ts"), ".cjs": (".cts", ".ts"),
    ".pyc": (".py",), ".java": (".kt", ".scala", ".groovy"),
}  # fmt: skip


@dataclass(frozen=True)
class Installed:
    """A file of an installed package: its name, and the path inside it."""

    package: str
    rest: str


def normal(path: str) -> str:
    """Forward slashes, no `./`, no drive, no scheme and host of a browser's or bundler's address."""
    path = path.replace("\\", "/")
    if path[1:3] == ":/":
        path = path[2:]
    if _SCHEME.match(path):
        path = _QUERY.sub("", _SCHEME.sub("", _HOST.sub("app:///", path)))
        path = _WEBPACK.sub("", path)
    return re.sub(r"/(?:\./)+|/{2,}", "/", path.removeprefix("./"))


def of_class(module: str | None, filename: str) -> str | None:
    """`com/acme/Cart.java` of a JVM frame, whose file name has no folder; None for every other frame."""
    if not module or "/" in filename or not filename.endswith((".java", ".kt", ".scala", ".groovy")):
        return None
    package = module.split("$", 1)[0].rpartition(".")[0]
    return f"{package.replace('.', '/')}/{filename}" if package else filename


def is_standard(path: str, module: str | None = None) -> bool:
    """Part of the language's own library: never in anybody's repository."""
    if _STANDARD.search(path) is not None:
        return True
    return (
        path.endswith((".java", ".kt", ".scala", ".cs")) and _STANDARD_MODULES.match(module or "") is not None
    )


def installed(path: str) -> Installed | None:
    """The package that a path is in, and the path there; None where it is in none."""
    for pattern in _PACKAGES:
        matches = list(pattern.finditer(path))
        if matches:
            return Installed(matches[-1]["package"], matches[-1]["rest"])
    return None


def spellings(path: str) -> tuple[str, ...]:
    """The path and what it may have been built from (`x.js` from `x.ts`), the path itself first."""
    stem, dot, ending = path.rpartition(".")
    return (path, *(stem + other for other in _BUILT.get(dot + ending, ())))


def mapped(path: str, path_map: Mapping[str, str]) -> str | None:
    """The repository path by a configured prefix, the longest one; None where none fits."""
    for prefix in sorted(path_map, key=len, reverse=True):
        start = normal(prefix).rstrip("/") + "/"
        if path.startswith(start):
            folder = path_map[prefix].strip("/")
            rest = path[len(start) :]
            return rest if folder in ("", ".") else f"{folder}/{rest}"
    return None


def common_suffix(left: str, right: str) -> int:
    """How many path parts two paths share at their ends."""
    count = 0
    for one, other in zip(reversed(left.split("/")), reversed(right.split("/")), strict=False):
        if one != other:
            break
        count += 1
    return count


def is_unlikely(path: str) -> bool:
    """Whether production would hardly run a file from there (tests, documentation, copies of others'
    code)."""
    return not _UNLIKELY.isdisjoint(path.split("/")[:-1])


def is_named(package: str, repo: str) -> bool:
    """Whether a repository has the name of a package, whatever the spelling (`@acme/ui`, `acme_ui`)."""
    plain = re.sub(r"[^a-z0-9]", "", package.rpartition("/")[2].lower())
    return plain == re.sub(r"[^a-z0-9]", "", repo.rpartition("/")[2].lower())
