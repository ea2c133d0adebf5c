"""TLS certificates from files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.ssl import AcceptableCiphers, CertificateOptions, TLSVersion

from slanger.faults import StartupFault

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
"""Ciphers of TLS 1.2, best first: forward secret and authenticated (RFC 9325, 4.2). TLS 1.3 has none but such."""

Stamp = tuple[tuple[int, ...], ...]
"""Changes when files do: of each, what its state tells."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, as they were read.

    :param files: the names of both.
    :param stamp: of the files before they were read.
    :param options: for the handshake.
    :param digest: of both files' contents.
    :param names: whom it is for, in words.
    """

    files: tuple[str, str]
    stamp: Stamp
    options: CertificateOptions = field(repr=False)
    digest: bytes = field(repr=False)
    names: str
    valid_from: datetime
    valid_until: datetime


def read_certificate(cert_file: str, key_file: str) -> Certificate:
    """Read a certificate and its private key, for TLS 1.2 and newer.

    :param cert_file: PEM; the certificate first, then the chain to its root, as ACME clients write `fullchain.pem`.
    :param key_file: PEM; may be the same file.
    :raises StartupFault: with the file and what is wrong with it.
    """
    stamp = stamp_of(cert_file, key_file)
    cert_pem, key_pem = _read("--tls-cert", cert_file), _read("--tls-key", key_file)
    try:
        certificate, *chain = x509.load_pem_x509_certificates(cert_pem)
    except ValueError:
        raise StartupFault(
            f"--tls-cert {cert_file}: no certificate that can be read; expected one or more in PEM"
        ) from None
    try:
        # An RSA key of 4096 bits would be checked for 0.2 s, in which nobody is served. It is the operator's own.
        key = load_pem_private_key(key_pem, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise StartupFault(
            f"--tls-key {key_file}: no private key that can be read; expected one in PEM, without a passphrase"
        ) from None
    options = CertificateOptions(  # Twisted's types still name the old classes of pyOpenSSL, which warns of them
        privateKey=key,  # type: ignore[arg-type]
        certificate=certificate,  # type: ignore[arg-type]
        extraCertChain=chain,  # type: ignore[arg-type]
        insecurelyLowerMinimumTo=TLSVersion.TLSv1_2,
        acceptableCiphers=AcceptableCiphers.fromOpenSSLCipherString(":".join(CIPHERS)),
    )
    try:
        options.getContext().check_privatekey()
    except SSL.Error as fault:
        raise StartupFault(
            f"--tls-key {key_file}: it does not belong to the certificate in {cert_file} ({_words(fault)})"
        ) from None
    return Certificate(
        files=(cert_file, key_file),
        stamp=stamp,
        options=options,
        digest=hashlib.sha256(cert_pem + key_pem).digest(),
        names=_names(certificate),
        valid_from=certificate.not_valid_before_utc,
        valid_until=certificate.not_valid_after_utc,
    )


def stamp_of(*files: str) -> Stamp:
    """Stamp files. A link is followed, so that it counts where it leads; a missing file has a stamp too."""
    return tuple(_stamp(name) for name in files)


def _stamp(name: str) -> tuple[int, ...]:
    try:
        state = Path(name).stat()
    except OSError as fault:
        return (fault.errno or 0,)
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _read(option: str, name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as fault:
        raise StartupFault(f"{option} {name}: {fault.strerror or fault}") from None


def _names(certificate: x509.Certificate) -> str:
    try:
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return certificate.subject.rfc4514_string()
    return ", ".join(str(each.value) for each in listed)


def _words(fault: Exception) -> str:
    """Take the reason out of OpenSSL's list of (library, function, reason)."""
    reasons = fault.args[0] if fault.args and isinstance(fault.args[0], list) else []
    return "; ".join(str(entry[-1]) for entry in reasons) or str(fault) or type(fault).__name__
