"""JavaScript and TypeScript: the stacks of V8 (Node, Chrome, Edge), SpiderMonkey and JavaScriptCore."""

from __future__ import annotations

import re

from store.event import ExceptionValue
from triage.languages.at_sign_stacks import find_at_sign_stacks
from triage.languages.definitions import by_braces
from triage.languages.v8_stacks import find_v8_stacks

_LIBRARY = re.compile(
    r"(^|[/\\])(node_modules|bower_components|jspm_packages|\.yarn|vendor)[/\\]"
    r"|^(node:|internal/|native|resource:|chrome:|moz-extension:|chrome-extension:|safari-extension:|wasm:|ext:|bun:)"
    r"|^\[native code\]$|^unknown location$|^<anonymous>$|^eval code|^bootstrap_node\.js$"
    r"|^(_?(assert|async_hooks|buffer|child_process|cluster|console|crypto|dgram|dns|domain|events|fs|http|https|module"
    r"|net|os|path|process|punycode|querystring|readline|repl|stream|string_decoder|timers|tls|tty|url|util|v8|vm|zlib)"
    r"(_\w+)?\.js)$"
    r"|(^|/)webpack/(bootstrap|runtime)\b"
)
_HEADS = (
    re.compile(r"\bclass\s+(?P<name>[\w$]+)"),
    re.compile(r"\bfunction\s*\*?\s*(?P<name>[\w$]+)"),
    re.compile(
        r"(?P<name>[\w$]+)\s*[:=]\s*(?:async\s*)?(?:function\b[^{]*|(?:\([^{}]*\)|[\w$]+)\s*(?::[^={}]+)?=>\s*)$"
    ),
    re.compile(r"(?P<name>[\w$#]+)\s*\([^{}]*\)\s*(?::[^{}]+)?$"),
)


class JavaScript:
    """The `Language` of JavaScript and TypeScript, on servers and in browsers."""

    name = "javascript"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every stack in the text with the message above it, causes first."""
        found = find_v8_stacks(text, self.in_app) if "at " in text else []
        return found + (find_at_sign_stacks(text, self.in_app) if "@" in text else [])

    def in_app(self, path: str) -> bool:
        """False for packages, the runtime's own modules, extensions and code without a file."""
        return bool(path) and _LIBRARY.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Class and function around a line, by braces."""
        return by_braces(source, line, _HEADS)
