"""What programs read before they ask: RFC 8414 for the authorization server, RFC 9728 for each MCP address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from server.config import Config
from server.http.addresses import addresses_of
from store.people import Scope

SERVER = "/.well-known/oauth-authorization-server"
RESOURCE = "/.well-known/oauth-protected-resource"
AUDIENCES: Mapping[str, tuple[Scope, ...]] = {"/mcp": tuple(Scope), "/mcp/readonly": (Scope.READ,)}


def audience_of(config: Config, resource: str) -> str | None:
    """The path of the MCP address that a resource indicator (RFC 8707) names; None where it is none of ours."""
    given = urlsplit(resource)
    written = f"{given.scheme.lower()}://{given.netloc.lower()}{given.path.rstrip('/')}"
    if given.query or given.fragment:
        return None
    own = addresses_of(config)
    return next((path for path in AUDIENCES for address in own if written == address + path), None)


def authorization_server(base: str) -> dict[str, Any]:
    """RFC 8414, with `iss` in the answer (RFC 9207) and documents as client ids."""
    return {
        "issuer": base,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token",
        "registration_endpoint": f"{base}/register",
        "revocation_endpoint": f"{base}/revoke",
        "scopes_supported": [scope.value for scope in Scope],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
        "protected_resources": [base + path for path in AUDIENCES],
    }


def protected_resource(base: str, path: str) -> dict[str, Any]:
    """RFC 9728 for one of the MCP addresses."""
    return {
        "resource": base + path,
        "resource_name": "Nightdesk" if path == "/mcp" else "Nightdesk, reading only",
        "authorization_servers": [base],
        "scopes_supported": [scope.value for scope in AUDIENCES[path]],
        "bearer_methods_supported": ["header"],
    }
