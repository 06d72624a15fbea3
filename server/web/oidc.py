"""Who somebody is, by an OpenID Connect provider of the team's choice: the authorization code flow with PKCE, told by
authlib. Blocking: it speaks with the provider.

Taken is only an ID token that the provider has signed with a key of its own (no shared secret, never none), for us, for
this login, and which names the person by the claim of the settings; an address of mail only where it says that it is
verified.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from server.config import Config
from store.errors import NotAllowed, Unavailable

_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
_GOOD = 3600.0  # seconds for which a provider's description and keys are kept
_PATIENCE = 10.0  # seconds for each request
_LEEWAY = 60  # seconds by which clocks may differ
_MARK = "state", "nonce", "verifier"


@dataclass(frozen=True)
class Asked:
    """What a browser has to bring back: it binds the answer to the question."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def fresh(cls) -> Asked:
        """Three new secrets."""
        return cls(*(secrets.token_urlsafe(32) for _ in _MARK))


class Provider:
    """The provider of the settings. Safe to use from several threads."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._found: tuple[float, dict[str, Any], KeySet] | None = None

    def address(self, asked: Asked, back: str) -> str:
        """Where a browser goes to log in, to come back to `back`. Raises Unavailable."""
        described, _ = self._described()
        with self._client(back) as client:
            url, _ = client.create_authorization_url(
                described["authorization_endpoint"], state=asked.state, nonce=asked.nonce,
                code_verifier=asked.verifier,
            )  # fmt: skip
        return str(url)

    def name(self, asked: Asked, back: str, answer: Mapping[str, str]) -> str:
        """Who has come back with this answer. Raises NotAllowed, Unavailable."""
        if not hmac.compare_digest(asked.state.encode(), answer.get("state", "").encode()):
            raise NotAllowed("This login was not begun in this browser, or is too old. Begin again.")
        described, keys = self._described()
        if answer.get("iss", described["issuer"]) != described["issuer"]:
            raise NotAllowed("Another provider has answered. Nobody was logged in.")
        if "error" in answer or "code" not in answer:
            raise NotAllowed("The provider did not log you in. Begin again, or use another way.")
        try:
            with self._client(back) as client:
                token = client.fetch_token(
                    described["token_endpoint"], code=answer["code"], code_verifier=asked.verifier,
                    grant_type="authorization_code",
                )  # fmt: skip
            return self._named(self._claims(token, asked, keys))
        except httpx2.HTTPError as error:
            raise Unavailable("The provider of logins does not answer; try again.", retry=True) from error
        except (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError) as error:
            raise NotAllowed("What the provider said cannot be believed. Nobody was logged in.") from error

    def _claims(self, token: Mapping[str, Any], asked: Asked, keys: KeySet) -> Mapping[str, Any]:
        """What the ID token claims, once all of it holds."""
        registry = JWSRegistry(algorithms=list(_ALGORITHMS), strict_check_header=False)
        try:
            read = jwt.decode(token["id_token"], key=keys, registry=registry)
        except (JoseError, ValueError):  # the provider may have changed its keys since we asked for them
            read = jwt.decode(token["id_token"], key=self._described(anew=True)[1], registry=registry)
        wanted = {
            "iss": {"values": [self._described()[0]["issuer"]]},  # to the letter: some end in a slash
            "aud": {"essential": True, "value": self._config.oidc_client},
        }
        told = {
            "nonce": asked.nonce, "client_id": self._config.oidc_client, "access_token": token.get("access_token"),
        }  # fmt: skip
        claims = CodeIDToken(read.claims, read.header, wanted, told)
        claims.validate(leeway=_LEEWAY)
        return dict(claims)

    def _named(self, claims: Mapping[str, Any]) -> str:
        claim = self._config.oidc_claim
        name = claims.get(claim)
        if not isinstance(name, str) or not name:
            raise NotAllowed(
                f"The provider does not say your {claim}; `oidc_claim` says what people are known by."
            )
        if claim == "email" and claims.get("email_verified") is not True:
            raise NotAllowed("The provider does not say that your address of mail is verified.")
        return name

    @property
    def _issuer(self) -> str:
        return self._config.oidc_issuer.rstrip("/")

    def _client(self, back: str = "") -> OAuth2Client:
        return OAuth2Client(
            client_id=self._config.oidc_client, client_secret=self._config.oidc_secret or None,
            token_endpoint_auth_method="client_secret_basic" if self._config.oidc_secret else "none",
            scope="openid email profile", redirect_uri=back or None, code_challenge_method="S256", timeout=_PATIENCE,
        )  # fmt: skip

    def _described(self, *, anew: bool = False) -> tuple[dict[str, Any], KeySet]:
        """The provider's description of itself and its keys. Raises Unavailable."""
        with self._lock:
            if self._found is None or anew or monotonic() - self._found[0] > _GOOD:
                self._found = (monotonic(), *self._asked())
            return self._found[1:]

    def _asked(self) -> tuple[dict[str, Any], KeySet]:
        try:
            with httpx2.Client(timeout=_PATIENCE) as http:
                described = (
                    http.get(f"{self._issuer}/.well-known/openid-configuration").raise_for_status().json()
                )
                if str(described["issuer"]).rstrip("/") != self._issuer:
                    raise Unavailable(
                        f"The provider calls itself otherwise than `oidc_issuer`: {self._issuer}."
                    )
                keys = http.get(described["jwks_uri"]).raise_for_status().json()
            return described, KeySet.import_key_set(keys)
        except (httpx2.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"The provider of logins at {self._issuer} does not describe itself; log in by a link or a password.",
                retry=True,
            ) from error
