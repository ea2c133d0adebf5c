"""Where Redis is: the forms of `--redis-url`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from slanger.faults import StartupFault

REDIS_PORT = 6379
SENTINEL_PORT = 26379
LARGEST_PORT = 65535

FORMS = (
    "redis://[USER:PASSWORD@]HOST[:6379][/DB], rediss:// for TLS, unix://[USER:PASSWORD@]/PATH[?db=DB],"
    " redis+sentinel://[USER:PASSWORD@]HOST[:26379],HOST.../MASTER[/DB], rediss+sentinel:// for TLS, or none"
)
_QUERY = {
    "redis": set[str](),
    "rediss": {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"},
    "unix": {"db"},
    "redis+sentinel": {"sentinel_username", "sentinel_password"},
    "rediss+sentinel": {"sentinel_username", "sentinel_password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where Redis is, and who we are to it.

    :param text: the URL as it may be shown: without passwords.
    :param hosts: of Redis, or of its sentinels; with their ports.
    :param path: of its socket; None where `hosts` counts.
    :param master: what the sentinels call the master; None where there are no sentinels.
    :param ca_file: certificates to trust, in PEM; None for those of the system.
    :param cert_file: our own certificate, in PEM; None where Redis asks for none.
    :param key_file: its private key; None where it stands in `cert_file`.
    """

    text: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str | None = None
    master: str | None = None
    username: str | None = None
    password: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    db: int = 0
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


def read_redis_url(origin: str, text: str) -> RedisAddress | None:
    """Read the URL of a Redis; `none` is None.

    :param origin: where it was given, for the error.
    :raises StartupFault: it is no such URL. The text is not repeated: it may hold a password.
    """
    if text == "none":
        return None
    try:
        return _read(text)
    except ValueError as fault:
        raise StartupFault(f"{origin}: {fault}; expected {FORMS}") from None


def _read(text: str) -> RedisAddress:
    url = urlsplit(text)
    if url.scheme not in _QUERY:
        raise ValueError("it is no such URL")
    credentials, _, hosts = url.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    query = _read_query(url.scheme, url.query)
    address: dict[str, object] = {
        "text": f"{url.scheme}://{hosts}{url.path}",
        "username": unquote(username) or None,
        "password": unquote(password) or None,
        "tls": url.scheme.startswith("rediss"),
        "ca_file": query.get("ssl_ca_certs"),
        "cert_file": query.get("ssl_certfile"),
        "key_file": query.get("ssl_keyfile"),
        "sentinel_username": query.get("sentinel_username"),
        "sentinel_password": query.get("sentinel_password"),
    }
    if url.scheme == "unix":
        if not url.path or hosts:
            raise ValueError("the path of a socket stands after unix://, from its / on")
        return RedisAddress(**address, path=unquote(url.path), db=_read_db(query.get("db", "")))  # type: ignore[arg-type]
    parts = url.path.split("/")[1:]
    if url.scheme.endswith("+sentinel"):
        if not parts or not parts[0]:
            raise ValueError("the name of the master is missing")
        address |= {"master": unquote(parts[0]), "hosts": _read_hosts(hosts.split(","), SENTINEL_PORT)}
        parts = parts[1:]
    else:
        address |= {"hosts": _read_hosts([hosts], REDIS_PORT)}
    if len(parts) > 1:
        raise ValueError("there is too much after the number of the database")
    return RedisAddress(**address, db=_read_db(parts[0] if parts else ""))  # type: ignore[arg-type]


def _read_query(scheme: str, text: str) -> dict[str, str]:
    query = dict(parse_qsl(text, keep_blank_values=True))
    for name in query:
        if name not in _QUERY[scheme]:
            known = ", ".join(sorted(_QUERY[scheme])) or "nothing"
            raise ValueError(f"{name!r} is not understood after ?; for {scheme}:// that is {known}")
    return query


def _read_hosts(texts: list[str], default_port: int) -> tuple[tuple[str, int], ...]:
    hosts = []
    for text in texts:
        one = urlsplit(f"//{text}")
        port = default_port if one.port is None else one.port
        if not one.hostname:
            raise ValueError("the host is missing")
        if not 0 < port <= LARGEST_PORT:
            raise ValueError(f"a port is a number up to {LARGEST_PORT}")
        hosts.append((one.hostname, port))
    return tuple(hosts)


def _read_db(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError("the database is a number")
    return int(text)
