"""Origins that are allowed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.origins import is_allowed, origin_fault


class AllowedTests(SynchronousTestCase):
    """Which origins an allow-list lets in."""

    def check(self, pattern: str, allowed: tuple[str, ...], refused: tuple[str, ...]) -> None:
        """Check an allow-list of one entry, which itself must be a good one."""
        self.assertIsNone(origin_fault(pattern), pattern)
        for origin in allowed:
            self.assertTrue(is_allowed(origin, ["https://other.example", pattern]), (origin, pattern))
        for origin in refused:
            self.assertFalse(is_allowed(origin, [pattern]), (origin, pattern))

    def test_exact(self) -> None:
        """Origins: an entry without a star means itself, in capitals or not."""
        self.check(
            "https://Example.com",
            ("https://example.com", "HTTPS://EXAMPLE.COM"),
            (
                "http://example.com",
                "https://example.com:8443",
                "https://a.example.com",
                "https://example.com.evil.net",
                "https://evilexample.com",
                "https://example.co",
                "null",
                "",
            ),
        )

    def test_subdomains(self) -> None:
        """Origins: a star stands for one or more names before the domain, and for nothing else."""
        self.check(
            "https://*.example.com",
            ("https://a.example.com", "https://a.b.example.com"),
            ("https://example.com", "https://.example.com", "http://a.example.com", "https://a.example.com:1", "null"),
        )

    def test_port(self) -> None:
        """Origins: a port that is named must be the one."""
        self.check("http://localhost:3000", ("http://localhost:3000",), ("http://localhost", "http://localhost:30001"))
        self.check("https://*.example.com:8443", ("https://a.example.com:8443",), ("https://a.example.com",))

    def test_host_alone(self) -> None:
        """Origins: an entry without a scheme means any scheme and any port, as in Reverb's settings."""
        self.check(
            "example.com",
            ("http://example.com", "https://example.com", "https://example.com:8443", "capacitor://example.com"),
            ("https://a.example.com", "https://example.com.evil.net", "example.com.evil.net", "null"),
        )
        self.check("*.example.com", ("http://a.example.com:81",), ("http://example.com",))
        self.check("localhost:3000", ("http://localhost:3000",), ("http://localhost", "http://localhost:3001"))

    def test_special(self) -> None:
        """Origins: a star alone means any; `null`, what sandboxed pages say, must be listed by name."""
        self.check("*", ("https://a.example", "null", "file://", ""), ())
        self.check("null", ("null",), ("https://null", "file://"))
        self.check("https://[::1]:8443", ("https://[::1]:8443",), ("https://[::2]:8443",))

    def test_faults(self) -> None:
        """Origins: what no browser would ever say is refused as an entry."""
        for pattern in (
            "",
            "https://",
            "https://a/",
            "https://a/b",
            "https://*",
            "https://a.*.com",
            "a b",
            "https://a?",
        ):
            self.assertIn("expected [SCHEME://]HOST", origin_fault(pattern) or "", pattern)
