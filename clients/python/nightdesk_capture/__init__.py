"""nightdesk-capture: an error brings what a test of it needs.

import sentry_sdk
from nightdesk_capture import NightdeskCapture

sentry_sdk.init(dsn="http://KEY@nightdesk.example:8731/1", integrations=[NightdeskCapture()])
"""

from __future__ import annotations

from nightdesk_capture.errors import BadRules
from nightdesk_capture.integration import NightdeskCapture
from nightdesk_capture.otel import NightdeskSpans

__all__ = ["BadRules", "NightdeskCapture", "NightdeskSpans", "__version__"]
__version__ = "0.1.0"
