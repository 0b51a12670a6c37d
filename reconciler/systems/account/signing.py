"""How a credential goes into a request: where an account's secret is exposed to be sent."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from reconciler.secrets import Secret
from reconciler.systems.account.client import Sign

if TYPE_CHECKING:
    import httpx


def bearer(secret: Secret) -> Sign:
    """Send ``Authorization: Bearer`` (RFC 6750)."""
    return header("authorization", secret, "Bearer ")


def basic(user: Secret) -> Sign:
    """Send a key as the user of ``Authorization: Basic``, without a password (RFC 7617)."""

    def sign(_request: httpx.Request) -> Mapping[str, str]:
        return {"authorization": "Basic " + b64encode(f"{user.expose()}:".encode()).decode()}

    return sign


def header(name: str, secret: Secret, before: str = "") -> Sign:
    """Send a key in a header of this name: ``x-api-key``, ``x-goog-api-key``, ``api-key``."""

    def sign(_request: httpx.Request) -> Mapping[str, str]:
        return {name: before + secret.expose()}

    return sign


def form(fields: Mapping[str, str], name: str, secret: Secret) -> bytes:
    """Return a form's body with a secret among its fields (RFC 6749, section 2.3.1)."""
    return urlencode({**fields, name: secret.expose()}).encode()


def keyless(_request: httpx.Request) -> Mapping[str, str]:
    """Send no credential: a local server that asks for none."""
    return {}
