"""What a browser reports that is not the team's code: extensions, scripts of others, its own notices.

Only what leaves no doubt: where it was thrown, or a text that no code of a team can have written.
"""

from __future__ import annotations

import re

from store.event import Event, Frame
from triage.locate import Located

_EXTENSION = re.compile(
    r"(?:chrome|moz|safari(?:-web)?|ms-browser|edge)-extension://|webkit-masked-url:|^chrome://|^resource://"
)
_EXTENSION_WORDS = re.compile(
    r"Extension context invalidated|can't access dead object|disconnected port object|__gCrWeb|_AutofillCallbackHandler"
    r"|conduitPage|instantSearchSDKJSBridgeClearHighlight|Object Not Found Matching Id:\d+, MethodName:"
)
_OPAQUE = re.compile(r"^(?:Javascript error: )?Script error\.?(?: on line 0)?$")
_NOTICE = re.compile(r"^ResizeObserver loop (?:limit exceeded|completed with undelivered notifications\.?)$")
_BROWSERS = frozenset({"javascript"})


def third_party(event: Event, located: Located) -> str | None:
    """In words, why an event of a browser is not the team's; None where it may be."""
    raised = event.exception
    if event.platform not in _BROWSERS:
        return None
    text = (raised.value if raised else event.message) or ""
    frames = raised.frames if raised else ()
    if any(frame_is_located for frame_is_located in located.frames):
        return None
    thrown = _last_named(frames)
    if thrown is not None and _EXTENSION.search(thrown.abs_path or thrown.filename or ""):
        return "a browser extension threw it"
    if _EXTENSION_WORDS.search(text):
        return "it is the text of a browser extension or of a phone's built-in script"
    if _OPAQUE.match(text) and not frames:
        return "a script of another origin failed, and the browser hides everything about it"
    if _NOTICE.match(text):
        return "a notice of the browser's layout, nothing failed"
    return None


def _last_named(frames: tuple[Frame, ...]) -> Frame | None:
    """The innermost frame that has a file."""
    return next(
        (one for one in reversed(frames) if one.abs_path not in (None, "<anonymous>", "[native code]")), None
    )
