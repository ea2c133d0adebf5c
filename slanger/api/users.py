"""Users: who is present, and who has to go ("REST API": GET users, "Terminating user connections")."""

from __future__ import annotations

from slanger.api.authentication import Call
from slanger.api.endpoint import Answer, Api, Endpoint
from slanger.protocol.errors import BadRequest
from slanger.protocol.names import channel_fault, is_presence


class ChannelUsers(Endpoint):
    """`/apps/ID/channels/NAME/users`."""

    kind = "channel_users"

    def __init__(self, api: Api, app_id: str, channel: str) -> None:
        super().__init__(api, app_id)
        self._channel = channel

    async def get(self, call: Call) -> Answer:
        """List the distinct users on a presence channel."""
        extraneous = sorted({key for key, _ in call.query if not _authenticates(key.lower())})
        if extraneous:
            raise BadRequest(f"The following query string parameters are extraneous: {', '.join(extraneous)}")
        fault = channel_fault(self._channel, call.app.channel_name_length)
        if fault:
            raise BadRequest(fault)
        if not is_presence(self._channel):
            raise BadRequest("Users can only be retrieved for presence channels")
        users = await self.api.registry.users(call.app, self._channel)
        return {"users": [{"id": user_id} for user_id in users]}


class TerminateConnections(Endpoint):
    """`/apps/ID/users/USER/terminate_connections`."""

    kind = "terminate_connections"

    def __init__(self, api: Api, app_id: str | None, user_id: str) -> None:
        super().__init__(api, app_id)
        self._user_id = user_id

    def post(self, call: Call) -> Answer:
        """Close all connections that signed in as this user."""
        self.api.users.terminate(call.app, self._user_id)
        return {}


def _authenticates(key: str) -> bool:
    return key.startswith("auth_") or key == "body_md5"
