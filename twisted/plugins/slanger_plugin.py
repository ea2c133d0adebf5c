"""Makes `twistd slanger` known. It imports nothing of ours, as `twistd --help` loads every plugin there is."""

from twisted.application.service import ServiceMaker

slanger = ServiceMaker("slanger", "slanger.tap", "A server for the Pusher Channels protocol.", "slanger")
