"""Whether a notification of Amazon SNS was signed by Amazon.

The certificate is fetched from the address in the message, which must be one of SNS's own hosts, and kept for a day.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from store.errors import NotAllowed

PATIENCE = 5.0  # seconds for a certificate
KEPT = 86_400.0  # seconds that one is used without asking again
LARGEST = 16 << 10  # bytes of a certificate
_PLACE = re.compile(
    r"https://sns\.[a-z0-9-]{2,30}\.amazonaws\.com(?:\.cn)?/SimpleNotificationService-[A-Za-z0-9]{1,80}\.pem"
)
_SIGNED = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_HASHES: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {"1": hashes.SHA1, "2": hashes.SHA256}


def fetched(url: str) -> bytes:
    """A certificate as its host gives it. Raises httpx.HTTPError."""
    with httpx.Client(timeout=PATIENCE, follow_redirects=False) as http:
        answer = http.get(url)
        answer.raise_for_status()
        return answer.content[:LARGEST]


class SnsSignatures:
    """Safe to use from several threads. `fetch` gets a certificate by its address."""

    def __init__(
        self, fetch: Callable[[str], bytes] = fetched, clock: Callable[[], float] = time.time
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._known: dict[str, tuple[float, rsa.RSAPublicKey]] = {}
        self._lock = threading.Lock()

    def check(self, body: bytes) -> None:
        """Raise NotAllowed for a message that says it is signed by Amazon and is not. One without a signature passes,
        and so does one whose certificate cannot be had: what it came with, a key of the project, decides alone."""
        try:
            sent = json.loads(body)
        except (ValueError, RecursionError):
            return
        if not isinstance(sent, dict) or "Signature" not in sent:
            return
        place = str(sent.get("SigningCertURL") or sent.get("SigningCertUrl") or "")
        if not _PLACE.fullmatch(place) or str(sent.get("SignatureVersion")) not in _HASHES:
            raise NotAllowed(
                "The notification names a certificate or a signature that Amazon SNS does not use."
            )
        key = self._key(place)
        if key is not None and not _holds(key, sent):
            raise NotAllowed("The notification was not signed by Amazon SNS.")

    def _key(self, place: str) -> rsa.RSAPublicKey | None:
        with self._lock:
            at, key = self._known.get(place, (0.0, None))
        if key is not None and self._clock() - at < KEPT:
            return key
        try:
            read = x509.load_pem_x509_certificate(self._fetch(place)).public_key()
        except (httpx.HTTPError, ValueError):
            return None
        if not isinstance(read, rsa.RSAPublicKey):
            return None
        with self._lock:
            self._known[place] = self._clock(), read
        return read


def _holds(key: rsa.RSAPublicKey, sent: Mapping[str, Any]) -> bool:
    """Whether the signature is over the fields that Amazon signs: each name and value on a line of its own."""
    notified = sent.get("Type") == "Notification"
    left_out = ("SubscribeURL", "Token") if notified else ("Subject",)
    lines = [
        f"{name}\n{sent[name]}\n" for name in _SIGNED if sent.get(name) is not None and name not in left_out
    ]
    try:
        given = base64.b64decode(str(sent["Signature"]), validate=True)
        hashed = _HASHES[str(sent["SignatureVersion"])]()
        key.verify(given, "".join(lines).encode("utf-8", "replace"), padding.PKCS1v15(), hashed)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
