"""Notifications of Amazon SNS: signed by the certificate that their address names, or refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from server.ingest.sns import SnsSignatures
from store.errors import NotAllowed

PLACE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FIELDS = {"Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:1:alarms",
          "Subject": "ALARM", "Timestamp": "2026-11-20T10:00:00.000Z", "Message": "it broke"}  # fmt: skip


def certificate(_: str = PLACE) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
        .serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=365))
    )  # fmt: skip
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def signed(**changed: str) -> bytes:
    """A notification signed as Amazon documents it; `changed` afterwards."""
    text = "".join(f"{name}\n{FIELDS[name]}\n" for name in sorted(FIELDS))
    signature = base64.b64encode(KEY.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    more = {"SignatureVersion": "2", "SigningCertURL": PLACE, "Signature": signature}
    return json.dumps(FIELDS | more | changed).encode()


def test_what_amazon_signed_is_taken_and_its_certificate_fetched_once() -> None:
    asked: list[str] = []
    signatures = SnsSignatures(lambda url: (asked.append(url), certificate())[1])

    signatures.check(signed())
    signatures.check(signed())

    assert asked == [PLACE]


@pytest.mark.parametrize(
    "changed",
    [
        {"Message": "another text"},
        {"Signature": "bm8="},
        {"Signature": "no base64!"},
        {"SignatureVersion": "9"},
        {
            "SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-1.pem"
        },
        {"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"},
    ],
)
def test_a_forged_or_changed_notification_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(NotAllowed, match="Amazon SNS"):
        SnsSignatures(certificate).check(signed(**changed))


def test_without_a_signature_or_a_certificate_to_be_had_the_key_decides_alone() -> None:
    def gone(url: str) -> bytes:
        raise httpx.ConnectError("no way out")

    SnsSignatures(gone).check(signed(Message="cannot be checked"))
    for body in (json.dumps(FIELDS).encode(), b"no json", b"[]"):
        assert SnsSignatures(gone).check(body) is None
