"""Which requests are taken for genuine."""

from __future__ import annotations

import hashlib

from slanger.domain.apps import App
from tests.api.requests import (
    NOW,
    ApiTestCase,
    Parameters,
    Response,
    auth_parameters,
    request_bytes,
    signature,
    signed_target,
)
from tests.server import KEY, SECRET

BODY = b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
EVENTS = "/apps/3/events"
CHANNELS = "/apps/3/channels"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


class AuthenticationTestCase(ApiTestCase):
    """Requests whose query is written out."""

    def ask_for(
        self, query: str, path: str = CHANNELS, method: str = "GET", body: bytes = b"", wire_path: str | None = None
    ) -> Response:
        """Send a request with this query."""
        return self.ask(request_bytes(method, f"{wire_path or path}?{query}", body))

    def query(self, *parameters: tuple[str, str], path: str = CHANNELS, method: str = "GET") -> str:
        """Write a query with its signature last, nothing encoded."""
        written = "&".join(f"{key}={value}" for key, value in parameters)
        return f"{written}&auth_signature={signature(method, path, parameters)}"


class VectorTests(AuthenticationTestCase):
    """The vectors of the documentation, and ours."""

    def test_trigger(self) -> None:
        """Authentication: the documentation's example of a trigger is accepted, and delivered."""
        listener = self.listen("project-3")
        query = (
            f"auth_key={KEY}&auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f"
            "&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        )
        self.assert_answered(self.ask_for(query, EVENTS, "POST", BODY), {})
        self.assertEqual(listener.events(), [("project-3", "foo", '{"some":"data"}')])

    def test_channels(self) -> None:
        """Authentication: a query of channels, signed once and for all, is accepted."""
        query = (
            f"auth_key={KEY}&auth_timestamp=1353088179&auth_version=1.0&filter_by_prefix=presence-&info=user_count"
            "&auth_signature=16819168891cb5dfd72b5c7a5d3d602605b26c6ba1930033b5e2eeeb65010291"
        )
        self.assert_answered(self.ask_for(query), {"channels": {}})

    def test_channels_from_python(self) -> None:
        """Authentication: the same from Python's SDK, which signs the MD5 of nothing with every GET."""
        query = (
            f"auth_key={KEY}&auth_timestamp=1353088179&auth_version=1.0&body_md5={EMPTY_MD5}"
            "&filter_by_prefix=presence-&info=user_count"
            "&auth_signature=f3f17c61ae491cc9085db68b22076e9b772e3bcb301659d655153ee3f9782aba"
        )
        self.assert_answered(self.ask_for(query), {"channels": {}})


class EncodingTests(AuthenticationTestCase):
    """The same request in the spellings of different SDKs and HTTP libraries."""

    def test_encoded_path(self) -> None:
        """Authentication: a path is signed as written, while the HTTP library may have encoded it."""
        path = "/apps/3/channels/a,b;c@d=e"
        for wire_path in (path, "/apps/3/channels/a%2Cb%3Bc%40d%3De", "/apps/3/channels/%61,b%3bc@d=e"):
            query = self.query(*auth_parameters(b""), path=path)
            self.assert_answered(self.ask_for(query, path, wire_path=wire_path), {"occupied": False})

    def test_signed_encoded_path(self) -> None:
        """Authentication: a path that was signed in its encoded form is accepted too."""
        path = "/apps/3/channels/a%2Cb"
        self.assert_answered(self.ask_for(self.query(*auth_parameters(b""), path=path), path), {"occupied": False})

    def test_encoded_comma(self) -> None:
        """Authentication: values are signed decoded; PHP sends `%2C` for a comma, Node and Go send it as it is."""
        self.listen("presence-a", user_id="1")
        parameters = (
            *auth_parameters(b""),
            ("filter_by_prefix", "presence-"),
            ("info", "user_count,subscription_count"),
        )
        query = self.query(*parameters)
        for wire in (query, query.replace(",", "%2C"), query.replace(",", "%2c"), query.replace("_count", "%5Fcount")):
            expected = {"channels": {"presence-a": {"user_count": 1, "subscription_count": 1}}}
            self.assert_answered(self.ask_for(wire), expected)

    def test_plus(self) -> None:
        """Authentication: a `+` on the wire was a plus for some SDKs, and a space for others."""
        for signed in ("a+b", "a b"):
            parameters = (*auth_parameters(b""), ("filter_by_prefix", signed))
            query = f"filter_by_prefix=a+b&{self.query(*auth_parameters(b''))}".rpartition("=")[0]
            wire = f"{query}={signature('GET', CHANNELS, parameters)}"
            self.assert_answered(self.ask_for(wire), {"channels": {}})

    def test_arrays(self) -> None:
        """Authentication: the elements of an array are signed one by one, in their order."""
        first, second = self.listen("one", "1.1"), self.listen("two", "1.2")
        parameters = (
            ("name", "n"),
            ("channels[]", "two"),
            ("channels[]", "one"),
            ("data", "d"),
            *auth_parameters(b""),
        )
        query = self.query(*parameters, path=EVENTS, method="POST")
        for wire in (query, query.replace("[]", "%5B%5D")):
            self.assert_answered(self.ask_for(wire, EVENTS, "POST"), {})
            self.assertEqual(first.events(), [("one", "n", "d")])
            self.assertEqual(second.events(), [("two", "n", "d")])
        swapped = query.replace("=two", "=x").replace("=one", "=two").replace("=x", "=one")
        self.assert_refused(self.ask_for(swapped, EVENTS, "POST"), 401)

    def test_order(self) -> None:
        """Authentication: parameters may come in any order; .NET puts the signature first."""
        parts = self.query(*auth_parameters(b""), ("info", "subscription_count")).split("&")
        for order in (parts[::-1], parts[2:] + parts[:2], sorted(parts)):
            self.assert_answered(self.ask_for("&".join(order)), {"channels": {}})

    def test_upper_case_keys(self) -> None:
        """Authentication: keys are signed in lower case, whatever they are on the wire."""
        self.assert_answered(self.ask_for(self.query(*upper(auth_parameters(b"")))), {"channels": {}})
        parameters = upper(auth_parameters(BODY))
        self.assert_answered(
            self.ask_for(self.query(*parameters, path=EVENTS, method="POST"), EVENTS, "POST", BODY), {}
        )

    def test_upper_case_keys_of_users(self) -> None:
        """Authentication: parameters of authentication are never extraneous, in whatever case."""
        path = "/apps/3/channels/presence-a/users"
        query = self.query(*upper(auth_parameters(b"")), path=path)
        self.assert_answered(self.ask_for(query, path), {"users": []})

    def test_other_case_of_signature(self) -> None:
        """Authentication: the signature is hexadecimal in lower case."""
        start, _, signed = self.query(*auth_parameters(b"")).rpartition("=")
        self.assert_refused(self.ask_for(f"{start}={signed.upper()}"), 401)

    def test_empty_digest(self) -> None:
        """Authentication: a request without a body may carry the digest of nothing, and no other."""
        parameters = auth_parameters(b"")
        self.assert_answered(self.ask_for(self.query(*parameters, ("body_md5", EMPTY_MD5))), {"channels": {}})
        self.assert_refused(self.ask_for(self.query(*parameters, ("body_md5", "0" * 32))), 401)


class RefusalTests(AuthenticationTestCase):
    """Each part of the authentication, missing or wrong."""

    def without(self, name: str) -> Parameters:
        """Give the parameters of a trigger save one."""
        return tuple(pair for pair in auth_parameters(BODY) if pair[0] != name)

    def trigger(self, *parameters: tuple[str, str], body: bytes = BODY) -> Response:
        """Send a trigger with these parameters, correctly signed."""
        return self.ask_for(self.query(*parameters, path=EVENTS, method="POST"), EVENTS, "POST", body)

    def test_missing(self) -> None:
        """Errors: a parameter that is missing, or empty, is a 401 that names it."""
        for name, text in (
            ("auth_key", "Missing parameter: auth_key"),
            ("auth_timestamp", "Timestamp required"),
            ("auth_version", "Version required"),
        ):
            self.assert_refused(self.trigger(*self.without(name)), 401, text)
            self.assert_refused(self.trigger(*self.without(name), (name, "")), 401, text)
        self.assert_refused(self.trigger(*self.without("body_md5")), 401, "Missing parameter: body_md5")

    def test_unsigned(self) -> None:
        """Errors: no parameters, and no signature, are a 401."""
        self.assert_refused(self.ask_for(""), 401, "Missing parameter: auth_key")
        self.assert_refused(self.ask(request_bytes("GET", CHANNELS)), 401, "Missing parameter: auth_key")
        query = self.query(*auth_parameters(b"")).rpartition("&")[0]
        self.assert_refused(self.ask_for(query), 401, "Missing parameter: auth_signature")

    def test_unknown_key(self) -> None:
        """Errors: a wrong `auth_key` is a 400, as with the hosted service."""
        self.assert_refused(self.trigger(*auth_parameters(BODY, key="nosuchkey")), 400, "Unknown auth_key")

    def test_wrong_version(self) -> None:
        """Errors: another version of authentication is a 401."""
        for version in ("2.0", "1", "1.00"):
            response = self.trigger(*self.without("auth_version"), ("auth_version", version))
            self.assert_refused(response, 401, "Version not supported")

    def test_wrong_timestamp(self) -> None:
        """Errors: a timestamp that is no integer is a 401."""
        for timestamp in ("now", "1353088179.5", "-1", "1e9", "9" * 30, "%D9%A1"):
            query = f"auth_key={KEY}&auth_version=1.0&auth_timestamp={timestamp}&auth_signature={'0' * 64}"
            self.assert_refused(self.ask_for(query), 401)

    def test_wrong_signature(self) -> None:
        """Errors: a wrong signature is a 401 that shows what should have been signed, and never the secret."""
        query = "&".join(f"{key}={value}" for key, value in auth_parameters(b""))
        response = self.ask_for(f"{query}&auth_signature={'0' * 64}")
        self.assert_refused(
            response,
            401,
            f'Invalid signature: you should have sent HmacSHA256Hex("GET\\n{CHANNELS}\\n{query}", your_secret_key),'
            f' but you sent "{"0" * 64}"',
        )
        self.assertNotIn(SECRET, response.text)

    def test_odd_signatures(self) -> None:
        """Errors: a signature of any characters is just wrong."""
        query = "&".join(f"{key}={value}" for key, value in auth_parameters(b""))
        for odd in ("%00", "%FF%FE", "%0A", "%C3%A9", "x" * 5000, "%ED%A0%80", "%E2%80%A8", "%0D%0AX:%20y"):
            response = self.ask_for(f"{query}&auth_signature={odd}")
            self.assertEqual(response.status, 401, odd)
            self.assertTrue(response.text.endswith("\n"))
            self.assertNotIn("x", response.headers)

    def test_wrong_secret(self) -> None:
        """Errors: a request signed with another secret is a 401."""
        self.serve(App(key=KEY, secret="another"))
        self.assert_refused(self.trigger(*auth_parameters(BODY)), 401)

    def test_tampered(self) -> None:
        """Errors: a request of which method, path, a parameter or the body was changed is a 401; nobody hears of it."""
        listener = self.listen("project-3")
        target = signed_target("POST", EVENTS, (("info", ""),), BODY)
        changed = BODY.replace(b"data", b"lies")
        for request in (
            request_bytes("POST", target, changed),
            request_bytes("POST", target.replace("info=", "info=user_count"), BODY),
            request_bytes("POST", target + "&more=1", BODY),
            request_bytes("POST", target.replace("/apps/3/", "/apps/4/"), BODY),
            request_bytes("GET", target.replace("/events", "/channels")),
            request_bytes("POST", target, BODY + b" "),
            request_bytes("POST", target),
        ):
            self.assert_refused(self.ask(request), 401)
        self.assertEqual(listener.events(), [])
        self.assert_answered(self.ask(request_bytes("POST", target, BODY)), {})

    def test_digest_changed_too(self) -> None:
        """Errors: the digest is covered by the signature, so changing both body and digest is found out."""
        changed = BODY.replace(b"data", b"lies")
        target = signed_target("POST", EVENTS, (), BODY)
        target = target.replace(hashlib.md5(BODY).hexdigest(), hashlib.md5(changed).hexdigest())
        self.assert_refused(self.ask(request_bytes("POST", target, changed)), 401)

    def test_window(self) -> None:
        """Authentication: a signature holds for less than 600 s in both directions, whichever clock is wrong."""
        for timestamp, status in ((-599, 200), (599, 200), (-600, 401), (600, 401), (-86400, 401), (86400, 401)):
            target = signed_target("GET", CHANNELS, timestamp=NOW + timestamp)
            self.assertEqual(self.ask(request_bytes("GET", target)).status, status, timestamp)

    def test_replay(self) -> None:
        """Authentication: a signed request can be repeated for 600 s, and not for ever."""
        request = request_bytes("GET", signed_target("GET", CHANNELS))
        self.clock.advance(599)
        self.assert_answered(self.ask(request), {"channels": {}})
        self.clock.advance(1)
        self.assert_refused(
            self.ask(request),
            401,
            "Timestamp expired: Given timestamp (2012-11-16T17:49:39Z) not within 600s of server time"
            " (2012-11-16T17:59:39Z)",
        )


class AppIdTests(AuthenticationTestCase):
    """Ids of apps in paths."""

    def test_any(self) -> None:
        """App ids: without `--app-id` any will do."""
        for app_id in ("3", "1234567", "my-app"):
            self.assert_answered(self.get(f"/apps/{app_id}/channels"), {"channels": {}})

    def test_given(self) -> None:
        """App ids: with `--app-id` every other is a 404, before the signature is looked at, in constant words."""
        self.serve(App(key=KEY, secret=SECRET, id="3"))
        self.assert_answered(self.get(CHANNELS), {"channels": {}})
        for path in ("/apps/4/channels", "/apps/33/channels/news", "/apps//channels", "/apps/%3Cb%3E/channels"):
            self.assert_refused(self.ask(request_bytes("GET", path)), 404, "404 NOT FOUND")
        self.assert_refused(self.get("/apps/4/channels"), 404, "404 NOT FOUND")

    def test_disabled(self) -> None:
        """Status codes: an app that is disabled is a 403, to those who could sign for it; enabled again, it answers."""
        self.serve(App(key=KEY, secret=SECRET, enabled=False))
        self.assert_refused(self.get(CHANNELS), 403, "403 FORBIDDEN: this app is disabled")
        body = {"name": "price", "channel": "news", "data": "1"}
        self.assert_refused(self.post("/apps/3/events", body), 403, "403 FORBIDDEN: this app is disabled")
        self.assert_refused(self.ask(request_bytes("GET", CHANNELS)), 401)
        self.apps.swap([App(key=KEY, secret=SECRET)])
        self.assert_answered(self.get(CHANNELS), {"channels": {}})

    def test_swapped(self) -> None:
        """Reload: an app that came is served, one that went is not, and a new secret or id holds at once."""
        self.apps.swap([App(key="other", secret=SECRET)])
        self.assert_refused(self.get(CHANNELS), 400, "Unknown auth_key")
        self.apps.swap([App(key=KEY, secret=SECRET, id="4"), App(key="other", secret=SECRET, id="3")])
        self.assert_refused(self.get(CHANNELS), 404, "404 NOT FOUND")
        self.apps.swap([App(key=KEY, secret="other")])
        self.assert_refused(self.get(CHANNELS), 401)
        self.apps.swap([App(key=KEY, secret=SECRET)])
        self.assert_answered(self.get(CHANNELS), {"channels": {}})

    def test_id_of_another_app(self) -> None:
        """App ids: a key opens its own app alone."""
        self.serve(App(key=KEY, secret=SECRET, id="3"), App(key="other", secret="s", id="4"))
        self.assert_answered(self.get(CHANNELS), {"channels": {}})
        self.assert_refused(self.get("/apps/4/channels"), 404, "404 NOT FOUND")


def upper(parameters: Parameters) -> Parameters:
    """Write keys in upper case."""
    return tuple((key.upper(), value) for key, value in parameters)
