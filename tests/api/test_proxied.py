"""The API behind proxies: a prefix before its paths, and whom a request is of."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from twisted.logger import capturedLogs

from slanger.api.endpoint import Api
from slanger.api.events import Events
from slanger.proxies import Proxies
from tests.api.requests import ApiTestCase, Response, request_bytes, signed_target

BODY = b'{"name":"n","channel":"news","data":"d"}'
EVENTS = "/apps/3/events"


class ProxiedTestCase(ApiTestCase):
    """An API that has a prefix, and trusts proxies."""

    prefix = "/realtime"
    proxies = Proxies((ip_network("192.0.2.0/24"),))

    def amend(self, api: Api) -> Api:
        """Make the API so."""
        return replace(api, path_prefix=self.prefix, proxies=self.proxies)

    def publish(self, path: str, signed: str, **headers: str) -> Response:
        """Send an event to a path, signed for another."""
        target = signed_target("POST", signed, (), BODY).replace(signed, path, 1)
        return self.ask(request_bytes("POST", target, BODY, **headers))


class PrefixTests(ProxiedTestCase):
    """A prefix before the paths of the API."""

    def test_events(self) -> None:
        """Path prefix: with it or without, and signed with it or without, as SDKs and proxies please."""
        listener = self.listen("news")
        for path in (EVENTS, f"/realtime{EVENTS}"):
            for signed in (EVENTS, f"/realtime{EVENTS}"):
                self.assertEqual(self.publish(path, signed).status, 200, (path, signed))
                self.assertEqual(listener.events(), [("news", "n", "d")])

    def test_other_paths(self) -> None:
        """Path prefix: it stands before every path; another prefix, or it twice, does not."""
        for path in ("/realtime/health", "/health"):
            self.assertEqual(self.ask(request_bytes("GET", path)).status, 200)
        for path in ("/realtimes/health", "/realtime/realtime/health", "/x/health", "/realtimehealth"):
            self.assertEqual(self.ask(request_bytes("GET", path)).status, 404)
        self.assertEqual(self.get("/realtime/apps/3/channels").status, 200)

    def test_signature(self) -> None:
        """Path prefix: a signature for another path is none."""
        for signed in ("/apps/3/batch_events", "/other/apps/3/events", "/realtime/realtime/apps/3/events"):
            for path in (EVENTS, f"/realtime{EVENTS}"):
                self.assertEqual(self.publish(path, signed).status, 401, (path, signed))


class NoPrefixTests(ProxiedTestCase):
    """No prefix."""

    prefix = ""

    def test_none(self) -> None:
        """Path prefix: without one, paths are what they are, and so are signatures."""
        self.assertEqual(self.publish(EVENTS, EVENTS).status, 200)
        self.assertEqual(self.publish(EVENTS, f"/realtime{EVENTS}").status, 401)
        self.assertEqual(self.publish(f"/realtime{EVENTS}", EVENTS).status, 404)


class AddressTests(ProxiedTestCase):
    """Whom a request is of."""

    def addresses(self, **headers: str) -> str:
        """Make an endpoint fail, and see whom the log says the request was of."""

        def fail(*arguments: object) -> None:
            raise RuntimeError("a fault of ours")

        self.patch(Events, "_authenticate", fail)
        with capturedLogs() as logs:
            self.assertEqual(self.publish(EVENTS, EVENTS, **headers).status, 500)
        self.flushLoggedErrors(RuntimeError)
        (text,) = (event["text"] for event in logs if "text" in event)
        return str(text).rpartition(" of ")[2]

    def test_direct(self) -> None:
        """X-Forwarded-For: without it, a request is of whoever sent it."""
        self.assertEqual(self.addresses(), "192.0.2.7")

    def test_forwarded(self) -> None:
        """X-Forwarded-For: a proxy of ours is believed, several hops of ours too, and no further."""
        self.assertEqual(self.addresses(X_Forwarded_For="1.2.3.4, 198.51.100.1, 192.0.2.9"), "198.51.100.1")

    def test_two_headers(self) -> None:
        """X-Forwarded-For: two such headers are one list."""
        self.assertEqual(self.addresses(X_Forwarded_For="198.51.100.1\r\nX-Forwarded-For: 192.0.2.9"), "198.51.100.1")


class StrangerTests(AddressTests):
    """Whom a request is of where nobody is trusted."""

    proxies = Proxies()

    def test_forwarded(self) -> None:
        """X-Forwarded-For: nobody else is believed."""
        self.assertEqual(self.addresses(X_Forwarded_For="198.51.100.1"), "192.0.2.7")

    def test_two_headers(self) -> None:
        """X-Forwarded-For: not either where it comes twice."""
        self.assertEqual(self.addresses(X_Forwarded_For="1.2.3.4\r\nX-Forwarded-For: 1.2.3.5"), "192.0.2.7")
