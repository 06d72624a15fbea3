"""What setting up the integration may raise. Once it is set up, nothing of it raises."""

from __future__ import annotations


class BadRules(ValueError):
    """The rules of redaction that were given are not what they should be. Raised by `NightdeskCapture(...)` only."""
