"""The words that pages use, in plain language, and the keys that one can press."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.responses import Response

from server.incidents.quoting import Quoter
from server.web.formats import shown
from server.web.visiting import Visit

WORDS = (
    ("incident", "A group of events that are one problem."),
    ("event", "One report of a failure by an application."),
    ("focus", "What somebody should look at now; it is kept short."),
    (
        "triage",
        "Saying of each incident what it is, where it comes from and whether somebody has to look now.",
    ),
    ("backlog", "Real, and can wait."),
    ("set aside", "Taken for noise, with the reason; nothing is thrown away."),
    ("score", "How likely it matters, from 0 to 1."),
    ("reproducer", "A test that fails for the same reason as production did."),
    (
        "causal change",
        "A change of the code that may have brought the failure about; proven where running it says so.",
    ),
    ("oracle", "How the test knows what is right: best, what the code gave before the change."),
    ("hypothesis", "A possible explanation, with what speaks for it and against it."),
    (
        "proven",
        "Shown by running the code: it holds before the change and fails after it, or the other way round.",
    ),
    ("supported", "What was run speaks for it, and does not settle it."),
    ("refuted", "What was run speaks against it."),
    ("mutant", "The patch made worse on purpose, to see whether the test would notice."),
    ("draft", "A proposed change in the team's forge. Nightdesk never merges one."),
    ("proof", "A file by which everything that was run can be run again, offline."),
    ("release", "One version of an application as it runs somewhere."),
    ("redacted", "Taken out before anything was kept: secrets and personal data."),
)
KEYS = (
    ("j", "the next row"),
    ("k", "the row before"),
    ("Enter", "open the row"),
    ("]", "the next section of an incident"),
    ("[", "the section before"),
    ("/", "search"),
    ("g then f", "what to focus on"),
    ("g then n", "what was set aside"),
    ("g then h", "health"),
    ("?", "this page"),
)


def page(visit: Visit) -> Response:
    """Words and keys."""

    def lines(quoter: Quoter) -> Iterator[str]:
        yield "# Words and keys"
        yield from (f"- **{word}**: {meaning}" for word, meaning in WORDS)
        yield "## Keys"
        yield from (f"- `{key}`: {does}" for key, does in KEYS)

    return shown(visit, "help.html", {"words": dict(WORDS), "keys": dict(KEYS)}, lines)
