"""Every test of the API once more, over twisted.web alone: both ways behave alike."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from slanger.api.endpoint import Api
from slanger.api.site import ApiSite
from tests.api import requests

TESTED = ("apps", "authentication", "batch", "cache", "events", "proxied", "queries", "site", "users")


class OverTwistedWeb(requests.ApiTestCase):
    """The same, without the lean way."""

    def build_site(self, api: Api) -> ApiSite:
        """Let twisted.web read every request."""
        return ApiSite(api, self.clock)


def cases(module: ModuleType) -> list[type[requests.ApiTestCase]]:
    """Find the tests of a module that ask the API."""
    made_here = [each for each in vars(module).values() if getattr(each, "__module__", None) == module.__name__]
    return [each for each in made_here if isinstance(each, type) and issubclass(each, requests.ApiTestCase)]


for _tested in TESTED:
    for _case in cases(import_module(f"tests.api.test_{_tested}")):
        _name = f"{_case.__name__}OverTwistedWeb"
        globals()[_name] = type(_name, (OverTwistedWeb, _case), {"__doc__": _case.__doc__, "__module__": __name__})
