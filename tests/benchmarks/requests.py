"""REST requests, signed as server SDKs sign them ("REST API: authentication"): the rules once more, for any server."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from urllib.parse import quote

from tests.benchmarks.targets import Serving, written


def request(serving: Serving, method: str, path: str, body: Mapping[str, object] | None = None) -> bytes:
    """Write a signed request on a connection that is kept.

    :param path: below `/apps/ID`.
    """
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    target = f"/apps/{quote(serving.app_id)}{path}"
    query = f"auth_key={serving.key}&auth_timestamp={int(time.time())}&auth_version=1.0"
    if content:
        query += f"&body_md5={hashlib.md5(content).hexdigest()}"
    signature = sign(serving.secret, f"{method}\n{target}\n{query}")
    head = f"{method} {target}?{query}&auth_signature={signature} HTTP/1.1\r\nHost: {written(serving.api)}\r\n"
    if content:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return f"{head}\r\n".encode() + content


def sign(secret: str, text: str) -> str:
    """Sign a request, or a subscription ("Generating authentication strings")."""
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()
