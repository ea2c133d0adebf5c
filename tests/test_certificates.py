"""Certificates from files."""

from __future__ import annotations

import contextlib
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
from twisted.trial.unittest import SynchronousTestCase

from slanger.certificates import Certificate, read_certificate
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
        self.assertEqual(handshake(read, self.root), ("localhost", len(self.chain)))

    def test_one_file(self) -> None:
        """TLS: all in one file, in any order of key and certificates, with words between them."""
        for pems in ((*self.chain, self.key), (self.key, *self.chain), (b"subject=x", self.key, b"", *self.chain)):
            both = self.write("both", *pems)
            self.assertEqual(handshake(read_certificate(both, both), self.root), ("localhost", len(self.chain)))

    def test_old_versions(self) -> None:
        """TLS: nothing older than 1.2 is spoken."""
        read = read_certificate(self.write("cert", *self.chain), self.write("key", self.key))
        switched_off = read.options.getContext().set_options(0)
        for old in (SSL.OP_NO_SSLv3, SSL.OP_NO_TLSv1, SSL.OP_NO_TLSv1_1):
            self.assertTrue(switched_off & old)
        self.assertRaises(SSL.Error, handshake, read, self.root, SSL.TLS1_1_VERSION)
        handshake(read, self.root, SSL.TLS1_2_VERSION)
        handshake(read, self.root, SSL.TLS1_3_VERSION)

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


def handshake(certificate: Certificate, root: trustme.CA, version: int | None = None) -> tuple[str, int]:
    """Shake hands in memory with a client that trusts this authority; give the server's name and how much it sent."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    root.configure_trust(context)
    context.set_verify(SSL.VERIFY_PEER)
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    client, server = SSL.Connection(context), SSL.Connection(certificate.options.getContext())
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
