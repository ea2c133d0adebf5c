"""Certificates from files."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import DNSName, SubjectAlternativeName
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.trial.unittest import SynchronousTestCase

from slanger.certificates import CIPHERS, read_certificate
from slanger.faults import StartupFault


class CertificateTests(SynchronousTestCase):
    """Reading certificate and key."""

    def setUp(self) -> None:
        """Issue a certificate, below an intermediate authority."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name)
        self.root = trustme.CA()
        self.issued = self.root.create_child_ca().issue_cert("localhost")
        self.key = self.issued.private_key_pem.bytes()
        self.chain = [blob.bytes() for blob in self.issued.cert_chain_pems]

    def write(self, name: str, *pems: bytes) -> str:
        """Write a file."""
        path = self.folder / name
        path.write_bytes(b"\n".join(pems))
        return str(path)

    def assert_fault(self, cert: str, key: str, *words: str) -> None:
        """Check that there is a fault of one line with these words in it."""
        text = str(self.assertRaises(StartupFault, read_certificate, cert, key))
        self.assertEqual(len(text.splitlines()), 1, text)
        for each in words:
            self.assertIn(each, text)

    def test_two_files(self) -> None:
        """TLS: certificate with chain, and key, in two files."""
        read = read_certificate(self.write("cert", *self.chain), self.write("key", self.key))
        self.assertEqual(handshake(read.options, self.root), ("localhost", len(self.chain)))

    def test_one_file(self) -> None:
        """TLS: all in one file, in any order of key and certificates, with words between them."""
        for pems in ((*self.chain, self.key), (self.key, *self.chain), (b"subject=x", self.key, b"", *self.chain)):
            both = self.write("both", *pems)
            self.assertEqual(handshake(read_certificate(both, both).options, self.root), ("localhost", len(self.chain)))

    def test_old_versions(self) -> None:
        """TLS: nothing older than 1.2 is spoken."""
        read = read_certificate(self.write("cert", *self.chain), self.write("key", self.key))
        switched_off = read.options.getContext().set_options(0)
        for old in (SSL.OP_NO_SSLv3, SSL.OP_NO_TLSv1, SSL.OP_NO_TLSv1_1):
            self.assertTrue(switched_off & old)
        self.assertRaises(SSL.Error, handshake, read.options, self.root, SSL.TLS1_1_VERSION)
        handshake(read.options, self.root, SSL.TLS1_2_VERSION)
        handshake(read.options, self.root, SSL.TLS1_3_VERSION)

    def test_ciphers(self) -> None:
        """TLS: of TLS 1.2 exactly the documented ciphers are spoken; TLS 1.3 has none but good ones."""
        page = (Path(__file__).parents[1] / "docs" / "howto" / "tls.rst").read_text(encoding="utf-8")
        documented = re.findall(r"``((?:ECDHE|TLS)[A-Z0-9_-]+)``", page)
        self.assertEqual([name for name in documented if name.startswith("ECDHE")], list(CIPHERS))
        options = read_certificate(self.write("cert", *self.chain), self.write("key", self.key)).options
        self.assertEqual(set(SSL.Connection(options.getContext()).get_cipher_list()), set(documented))
        for weak in ("ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-CCM"):
            self.assertRaises(SSL.Error, handshake, options, self.root, SSL.TLS1_2_VERSION, weak)
        for strong in CIPHERS:
            if "ECDSA" in strong:  # trustme's keys are of elliptic curves
                handshake(options, self.root, SSL.TLS1_2_VERSION, strong)

    def test_unreadable(self) -> None:
        """TLS: a file that cannot be read is told by option and name."""
        cert, key = self.write("cert", *self.chain), self.write("key", self.key)
        missing, folder = str(self.folder / "missing"), str(self.folder)
        self.assert_fault(missing, key, "--tls-cert", missing, "No such file")
        self.assert_fault(cert, missing, "--tls-key", missing, "No such file")
        self.assert_fault(folder, key, "--tls-cert", "Is a directory")

    def test_no_certificate(self) -> None:
        """TLS: a file without a certificate, or with a broken one, is told so."""
        key = self.write("key", self.key)
        broken = self.chain[0].replace(b"M", b"N", 5)
        for pem in (b"", b"hello", self.key):
            self.assert_fault(self.write("cert", pem), key, "--tls-cert", "no certificate", "PEM")
        self.assert_fault(self.write("cert", broken), key, "--tls-cert", "no certificate")
        self.assert_fault(self.write("cert", self.chain[0], broken), key, "--tls-cert", "no certificate")

    def test_no_key(self) -> None:
        """TLS: a file without a key, or with one behind a passphrase, is told so."""
        cert = self.write("cert", *self.chain)
        for pem in (b"", b"hello", self.chain[0]):
            self.assert_fault(cert, self.write("key", pem), "--tls-key", "no private key", "without a passphrase")
        locked = load_pem_private_key(self.key, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
        )
        self.assert_fault(cert, self.write("key", locked), "--tls-key", "without a passphrase")

    def test_foreign_key(self) -> None:
        """TLS: a key that belongs to another certificate is told so."""
        other = self.root.issue_cert("localhost").private_key_pem.bytes()
        cert, key = self.write("cert", *self.chain), self.write("key", other)
        self.assert_fault(cert, key, "--tls-key", key, cert, "does not belong")


def handshake(
    certificate: IOpenSSLContextFactory, root: trustme.CA, version: int | None = None, cipher: str | None = None
) -> tuple[str, int]:
    """Shake hands in memory with a client that trusts this authority; give the server's name and how much it sent."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    root.configure_trust(context)
    context.set_verify(SSL.VERIFY_PEER)
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    if cipher is not None:
        context.set_cipher_list(cipher.encode())
    client, server = SSL.Connection(context), SSL.Connection(certificate.getContext())
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(10):
        for side, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                side.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(side.bio_read(65536))
    shown = client.get_peer_certificate(as_cryptography=True)
    chain = client.get_peer_cert_chain(as_cryptography=True)
    assert shown is not None
    assert chain is not None
    (name,) = shown.extensions.get_extension_for_class(SubjectAlternativeName).value.get_values_for_type(DNSName)
    return name, len(chain)
