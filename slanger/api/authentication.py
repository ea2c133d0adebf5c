"""Which app a REST request is for, and that it may ("REST API": authentication).

The signature covers method, path and query; the query's `body_md5` covers the body, and is checked against it here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote

import msgspec

from slanger.api.parameters import Pairs, read_form_query, read_query
from slanger.domain.apps import App, Apps
from slanger.protocol import signing
from slanger.protocol.errors import BadRequest, Forbidden, NotFound, RequestRefused, Unauthorized
from slanger.protocol.names import AUTH_WINDOW
from slanger.proxies import UNIX

VERSION = "1.0"


class SignedRequest(msgspec.Struct, frozen=True):
    """What of a request counts for authentication, as it came over the wire.

    :param path: without the query, still percent-encoded.
    :param query: what follows the question mark.
    :param address: the caller's, which a trusted proxy may have told; see `slanger.proxies`.
    """

    method: str
    path: str
    query: bytes
    body: bytes
    address: str = UNIX

    @classmethod
    def of(cls, method: bytes, uri: bytes, body: bytes, address: str = UNIX) -> SignedRequest:
        """Take path and query apart."""
        path, _, query = uri.partition(b"?")
        return cls(method.decode("latin-1"), path.decode("latin-1"), query, body, address)


class Call(msgspec.Struct, frozen=True):
    """An authenticated request.

    :param query: its parameters, those of authentication included.
    """

    app: App
    query: Pairs
    body: bytes


def authenticate(request: SignedRequest, app_id: str | None, apps: Apps, now: float, path_prefix: str = "") -> Call:
    """Find the app a request is for, and whether it may.

    :param app_id: as the path names it; None where it names none (a path of the Python SDK).
    :param now: the time, in seconds since 1970.
    :param path_prefix: what a proxy may have taken off the path, or left on it.
    :raises NotFound: no app has this id.
    :raises BadRequest: no app has this key.
    :raises Unauthorized: with the reason.
    :raises Forbidden: the app is disabled.
    """
    return _authenticate(request, app_id, apps, now, path_prefix, whole=True)


def is_signed(request: SignedRequest, app_id: str | None, apps: Apps, now: float, path_prefix: str = "") -> bool:
    """Tell whether the head of a request may, whose body is yet to come; see `authenticate`."""
    try:
        _authenticate(request, app_id, apps, now, path_prefix, whole=False)
    except RequestRefused:
        return False
    return True


def _authenticate(
    request: SignedRequest, app_id: str | None, apps: Apps, now: float, path_prefix: str, *, whole: bool
) -> Call:
    query = read_query(request.query)
    given = {key.lower(): value for key, value in reversed(query)}  # the first of each counts
    app = _app(given.get("auth_key"), app_id, apps)
    try:
        _check_version(given.get("auth_version"))
        _check_timestamp(given.get("auth_timestamp"), now)
        _check_signature(request, query, app, _required(given.get("auth_signature"), "auth_signature"), path_prefix)
        if whole:
            _check_body(request.body, given.get("body_md5"))
    except Unauthorized as refusal:
        refusal.app = app.label
        raise
    if not app.enabled:
        raise Forbidden("403 FORBIDDEN: this app is disabled")
    return Call(app, query, request.body)


def _app(key: str | None, app_id: str | None, apps: Apps) -> App:
    app = apps.with_key(key) if key else None
    if app is not None and (app_id is None or app.answers_to(app_id)):
        return app
    if app_id is not None and not apps.any_answers_to(app_id):
        raise NotFound(unproven="app")
    _required(key, "auth_key")
    if app is None:
        raise BadRequest("Unknown auth_key", "key")
    raise NotFound(unproven="app")


def _required(value: str | None, name: str) -> str:
    if not value:
        raise Unauthorized(f"Missing parameter: {name}", "missing")
    return value


def _check_version(version: str | None) -> None:
    if not version:
        raise Unauthorized("Version required", "version")
    if version != VERSION:
        raise Unauthorized("Version not supported", "version")


def _check_timestamp(text: str | None, now: float) -> None:
    """A signature is good for ten minutes, whichever clock is wrong."""
    if not text:
        raise Unauthorized("Timestamp required", "timestamp")
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise Unauthorized("Timestamp invalid: expected the seconds since 1970 as an integer", "timestamp")
    if abs(now - int(text)) >= AUTH_WINDOW:
        raise Unauthorized(
            f"Timestamp expired: Given timestamp ({_iso(int(text))})"
            f" not within {AUTH_WINDOW}s of server time ({_iso(int(now))})",
            "timestamp",
        )


def _check_signature(request: SignedRequest, query: Pairs, app: App, signature: str, path_prefix: str) -> None:
    """Accept the signature of the request as the SDK knew it, before the HTTP library encoded it.

    SDKs sign values unencoded; some libraries then encode the path, or a comma, or write a space as ``+``.
    """
    text = signing.request_string(request.method, request.path, query)
    if signing.verify(app.secret, text, signature):
        return
    if any(signing.verify(app.secret, other, signature) for other in _other_spellings(request, query, path_prefix)):
        return
    expected = text.replace("\n", "\\n")
    raise Unauthorized(
        f'Invalid signature: you should have sent HmacSHA256Hex("{expected}", your_secret_key),'
        f' but you sent "{signature}"',
        "signature",
    )


def _other_spellings(request: SignedRequest, query: Pairs, path_prefix: str) -> Iterator[str]:
    """Write what else the SDK may have signed. Few of them know of a prefix; some proxies take it off the path."""
    form_query = read_form_query(request.query)
    sent = (request.path, *_other_prefix(request.path, path_prefix))
    for path in dict.fromkeys((*sent, *map(unquote, sent))):
        if path != request.path:
            yield signing.request_string(request.method, path, query)
        yield signing.request_string(request.method, path, form_query)


def _other_prefix(path: str, prefix: str) -> Iterator[str]:
    if prefix:
        yield path.removeprefix(prefix) if path.startswith(f"{prefix}/") else prefix + path


def _check_body(body: bytes, digest: str | None) -> None:
    """A body needs its digest; a digest may come without a body (the Python SDK sends one with every GET)."""
    if digest is None:
        if body:
            raise Unauthorized("Missing parameter: body_md5", "missing")
    elif not signing.same(signing.body_digest(body), digest):
        raise Unauthorized("Invalid body_md5: it is not the MD5 of the body that was received", "body")


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
