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
    r"^MetaMask: |Cannot redefine property: (?:ethereum|solana|tronWeb|googletag)|zaloJSV2|ztUtils"
    r"|PaymentAutofillConfig"
    r"|window\.webkit\.messageHandlers|_pcmBridgeCallbackHandler|SymBrowser_ScriptForHashing|BetterJsPop"
    r"|runtime\.sendMessage\(\)|Could not establish connection\. Receiving end does not exist"
    r"|setIOSParameters"
    r"|Can't find variable: (?:gmo|DarkReader|_AutofillCallback\w*|indexedDB)|jigsaw is not defined"
    r"|ComboSearch is not defined"
    r"|Extension context invalidated|can't access dead object|disconnected port object|__gCrWeb"
    r"|_AutofillCallbackHandler"
    r"|conduitPage|instantSearchSDKJSBridgeClearHighlight|Object Not Found Matching Id:\d+, MethodName:"
)
_OPAQUE = re.compile(r"^(?:Javascript error: )?Script error\.?(?: on line 0)?$")
_NOTICE = re.compile(r"^ResizeObserver loop (?:limit exceeded|completed with undelivered notifications\.?)$")
_INJECTED = re.compile(
    r"(?:^|/)(?:inpage|inject(?:ed)?|contentscript|content-script|userscript)(?:\.[\w-]+)?\.js$"
    r"|^(?:user-script|phantomjs):"
)
_ABANDONED = re.compile(
    r"^(?:The user aborted a request\.|(?:signal is aborted without reason|The operation was aborted\.?)\s*"
    r"|Fetch is aborted|AbortError)$"
)
_PLAYING = re.compile(
    r"^(?:play\(\) failed because the user didn't interact|The play\(\) request was interrupted"
    r"|The request is not allowed by the user agent or the platform)"
)
_VENDORS = re.compile(
    r"^https?://(?:[\w-]+\.)*(?:googletagmanager\.com|google-analytics\.com|googlesyndication\.com"
    r"|doubleclick\.net"
    r"|googleadservices\.com|gstatic\.com|connect\.facebook\.net|fbcdn\.net|hotjar\.com|clarity\.ms"
    r"|bat\.bing\.com"
    r"|analytics\.tiktok\.com|snap\.licdn\.com|static\.ads-twitter\.com|pinimg\.com|sc-static\.net"
    r"|criteo\.(?:com|net)"
    r"|taboola\.com|outbrain\.com|intercomcdn\.com|intercom\.io|hs-scripts\.com|hs-analytics\.net"
    r"|hubspot\.com"
    r"|segment\.com|mxpnl\.com|mixpanel\.com|amplitude\.com|fullstory\.com|mouseflow\.com|crazyegg\.com"
    r"|optimizely\.com"
    r"|zdassets\.com|drift\.com|driftt\.com|crisp\.chat|tawk\.to|livechatinc\.com|olark\.com|onetrust\.com"
    r"|cookielaw\.org"
    r"|cookiebot\.com|usercentrics\.eu|trustpilot\.com|newrelic\.com|nr-data\.net|mc\.yandex\.ru"
    r"|quantserve\.com"
    r"|scorecardresearch\.com|addthis\.com|sharethis\.com|disqus\.com|klaviyo\.com|yotpo\.com|branch\.io)/"
)
_CRAWLER = re.compile(
    r"(?i)googlebot|bingbot|yandex(?:bot|mobile)|baiduspider|duckduckbot|applebot|adsbot-google|ahrefsbot"
    r"|semrushbot"
    r"|mj12bot|dotbot|petalbot|bytespider|facebookexternalhit|twitterbot|slurp|headlesschrome|phantomjs"
    r"|google-read-aloud"
    r"|mediapartners-google|gptbot|claudebot|ccbot"
)
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
    paths = [path for frame in frames if (path := frame.abs_path or frame.filename)]
    if paths and all(_EXTENSION.search(path) or _INJECTED.search(path) for path in paths):
        return "scripts that an extension puts into pages threw it"
    if paths and all(_VENDORS.match(path) for path in paths):
        return "a script of another company threw it, and no code of the team's is on the stack"
    if _EXTENSION_WORDS.search(text):
        return "it is the text of a browser extension or of a phone's built-in script"
    if _OPAQUE.match(text) and not frames:
        return "a script of another origin failed, and the browser hides everything about it"
    if _NOTICE.match(text):
        return "a notice of the browser's layout, nothing failed"
    if raised is not None and raised.type == "AbortError" and _ABANDONED.match(text):
        return "a request that the page had begun was given up, as when its visitor goes on"
    if raised is not None and raised.type in ("NotAllowedError", "AbortError") and _PLAYING.match(text):
        return "the browser let nothing play before its visitor had touched the page"
    if raised is not None and raised.type == "SyntaxError" and _CRAWLER.search(agent_of(event)):
        return "a crawler's old browser could not read the script"
    return None


def agent_of(event: Event) -> str:
    """The user agent that the request names; empty where it names none."""
    headers = event.request.headers if event.request else {}
    return next((value for name, value in headers.items() if name.lower() == "user-agent"), "")


def _last_named(frames: tuple[Frame, ...]) -> Frame | None:
    """The innermost frame that has a file."""
    return next(
        (one for one in reversed(frames) if one.abs_path not in (None, "<anonymous>", "[native code]")), None
    )
