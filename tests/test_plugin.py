"""What twistd finds."""

from __future__ import annotations

import subprocess
import sys

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slanger.tap import Options, makeService
from twisted.plugins.slanger_plugin import slanger as plugin


class PluginTests(SynchronousTestCase):
    """The plugin file."""

    def test_plugin(self) -> None:
        """Plugin: it is a service maker called `slanger`, and leads to our options and service."""
        verifyObject(IServiceMaker, plugin)
        self.assertEqual(plugin.tapname, "slanger")
        self.assertIs(plugin.options, Options)
        self.assertIs(plugin.makeService, makeService)

    def test_found(self) -> None:
        """Plugin: Twisted finds it, once."""
        self.assertEqual([each.tapname for each in getPlugins(IServiceMaker)].count("slanger"), 1)

    def test_light(self) -> None:
        """Plugin: it imports nothing of ours, as `twistd --help` loads every plugin there is."""
        look = "import sys, twisted.plugins.slanger_plugin; print(*(name for name in sys.modules if 'slanger' in name))"
        found = subprocess.run([sys.executable, "-c", look], capture_output=True, check=True, text=True)
        self.assertEqual(found.stdout.split(), ["twisted.plugins.slanger_plugin"])
