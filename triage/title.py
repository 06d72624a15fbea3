"""What an incident is called: "TypeError: can only concatenate …" in "quotes.quote in discounts"."""

from __future__ import annotations

from store.event import Event, Frame
from triage.fingerprint import module_of
from triage.locate import Located

TITLE_LIMIT = 140  # characters


def title(event: Event) -> str:
    """The exception's type and the first line of its text, or the message; at most 140 characters, never
    empty."""
    raised = event.exception
    if raised is None or not raised.type:
        said = event.message or (raised.value if raised else "")
        return _one_line(said) or "(no message)"
    first = _one_line(raised.value)
    return _bounded(f"{raised.type}: {first}" if first else raised.type)


def culprit(event: Event, located: Located | None = None) -> str:
    """Module and function of the innermost own frame, else of the innermost frame, else the transaction or
    logger."""
    raised = event.exception
    frames = [frame for frame in (raised.frames if raised else ()) if frame.function]
    own = [frame for frame in frames if frame.in_app]
    if located is not None and raised is not None and len(located.own) == len(raised.frames):
        own = [
            frame
            for frame, is_own in zip(raised.frames, located.own, strict=True)
            if is_own and frame.function
        ]
    chosen = (own or frames)[-1:]
    return _call(chosen[0]) if chosen else event.transaction or event.logger or ""


def _call(frame: Frame) -> str:
    return f"{module_of(frame)} in {frame.function}"[:200]


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (
        _bounded("".join(character if character.isprintable() else "�" for character in lines[0]))
        if lines
        else ""
    )


def _bounded(text: str) -> str:
    return text if len(text) <= TITLE_LIMIT else text[: TITLE_LIMIT - 1].rstrip() + "…"
