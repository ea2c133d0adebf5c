"""The official server SDKs, for Python and for Node, against a real server."""

from __future__ import annotations

import time
from unittest import mock

import pusher.http  # type: ignore[import-untyped]

from tests.sdk import contract
from tests.sdk.case import ClientTestCase, fresh, running_server
from tests.sdk.sdks import NodeSdk, PythonSdk, Refused, Sdk, of_python


class Python(contract.SdkContract):
    """`pusher` for Python."""

    def make_sdk(self, **options: str) -> Sdk:
        """Give the SDK of these tests."""
        return PythonSdk(self.server, **options)

    def test_old_request(self) -> None:
        """Authentication parameters: a request made eleven minutes ago, or in eleven minutes, is a 401."""
        for when in (time.time() - 660, time.time() + 660):
            with mock.patch.object(pusher.http, "time") as clock:
                clock.time.return_value = when
                self.assert_refused(401, "Timestamp expired", self.sdk.trigger, ["news"], "price-changed", {})

    def test_changed_request(self) -> None:
        """Request signature: a request whose body, path or parameters were changed on the way is a 401."""
        client, channel = self.connected(), fresh("news")
        client.subscribe(channel)
        sdk = PythonSdk(self.server)
        trigger = sdk.pusher._pusher_client.trigger

        def changed(**parts: object) -> object:
            request = trigger.make_request([channel], "changed", {"eur": 12.5})
            vars(request).update(parts)
            return of_python(lambda: sdk.pusher._pusher_client.http.send_request(request))

        body = trigger.make_request([channel], "changed", {"eur": 99}).body
        self.assert_refused(401, "Invalid body_md5", lambda: changed(body=body))
        self.assert_refused(401, "Invalid signature", lambda: changed(path="/apps/4/events"))
        query = trigger.make_request([channel], "changed", {"eur": 12.5}).query_params
        self.assert_refused(401, "Invalid signature", lambda: changed(query_params={**query, "body_md5": "0" * 32}))
        self.assert_refused(401, "Invalid signature", lambda: changed(query_params={**query, "info": "user_count"}))
        client.settle()
        self.assertEqual(client.seen("changed"), [])
        changed()
        client.expect("changed", channel)


class Node(contract.SdkContract):
    """`pusher` for Node."""

    def make_sdk(self, **options: str) -> Sdk:
        """Give the SDK of these tests."""
        return NodeSdk(self.driver, self.server, **options)

    def test_ask_while_triggering(self) -> None:
        """Trigger: who asks for `info` is told how many got the event, on each channel that can tell."""
        news, room = fresh("news"), fresh("presence-room")
        for client in (self.connected("ann"), self.connected("bob"), self.connected("bob")):
            client.subscribe(news)
            client.subscribe(room)
        sdk = NodeSdk(self.driver, self.server)
        told = sdk.trigger([news, room], "price-changed", {}, info="user_count")
        self.assertEqual(told, {"channels": {news: {}, room: {"user_count": 2}}})
        told = sdk.trigger([news], "price-changed", {}, info="subscription_count")
        self.assertEqual(told, {"channels": {news: {"subscription_count": 3}}})


class PythonOnOnePort(Python):
    """The same where WebSockets and REST API share a port."""

    def setUp(self) -> None:
        """Find such a server."""
        super().setUp()
        self.use_server(running_server(one_port=True))
        self.sdk = self.make_sdk()


class NodeOnOnePort(Node):
    """The same where WebSockets and REST API share a port."""

    def setUp(self) -> None:
        """Find such a server."""
        super().setUp()
        self.use_server(running_server(one_port=True))
        self.sdk = self.make_sdk()


class GivenAppId(ClientTestCase):
    """A server that was told the id of its app."""

    def test_other_app_id(self) -> None:
        """Endpoints: with `--app-id` the id in the path must be that one; another is a 404."""
        self.use_server(running_server("--app-id=3"))
        PythonSdk(self.server).trigger(["news"], "price-changed", {})
        self.use_server(running_server("--app-id=4"))
        refused = self.assertRaises(Refused, PythonSdk(self.server).trigger, ["news"], "price-changed", {})
        self.assertEqual(refused.status, 404)
