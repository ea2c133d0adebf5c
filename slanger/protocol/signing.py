"""Every HMAC of the protocol ("Generating authentication strings", "REST API: authentication").

All signatures are lower-case hexadecimal HMAC-SHA256 under the app's secret. Comparing takes constant time.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


def sign(secret: str, text: str) -> str:
    """Sign a text with an app's secret."""
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


def verify(secret: str, text: str, signature: str) -> bool:
    """Whether the signature is the text's own."""
    return same(sign(secret, text), signature)


def same(ours: str, theirs: str) -> bool:
    """Compare two secrets or signatures in constant time; theirs may hold any characters."""
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogatepass"))


def channel_string(socket_id: str, channel: str, channel_data: str | None) -> str:
    """Build what a channel's authorisation signs; `channel_data` counts byte for byte when it is there."""
    return f"{socket_id}:{channel}:{channel_data}" if channel_data else f"{socket_id}:{channel}"


def user_string(socket_id: str, user_data: str) -> str:
    """Build what a user's authentication signs."""
    return f"{socket_id}::user::{user_data}"


def request_string(method: str, path: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Build what a REST request signs.

    :param parameters: all query parameters, decoded; `auth_signature` is left out here.
        They are sorted by lower-cased key; those of one key keep their order.
    """
    pairs = sorted(((key.lower(), value) for key, value in parameters), key=lambda pair: pair[0])
    query = "&".join(f"{key}={value}" for key, value in pairs if key != "auth_signature")
    return f"{method.upper()}\n{path}\n{query}"


def body_digest(body: bytes) -> str:
    """Give the `body_md5` of a request; it detects change, the signature over it protects."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
