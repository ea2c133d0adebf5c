"""TLS certificates from files."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions, TLSVersion

from slanger.faults import StartupFault


def read_certificate(cert_file: str, key_file: str) -> CertificateOptions:
    """Read a certificate and its private key, for TLS 1.2 and newer.

    :param cert_file: PEM; the certificate first, then the chain to its root, as ACME clients write `fullchain.pem`.
    :param key_file: PEM; may be the same file.
    :raises StartupFault: with the file and what is wrong with it.
    """
    try:
        certificate, *chain = load_pem_x509_certificates(_read("--tls-cert", cert_file))
    except ValueError:
        raise StartupFault(
            f"--tls-cert {cert_file}: no certificate that can be read; expected one or more in PEM"
        ) from None
    try:
        key = load_pem_private_key(_read("--tls-key", key_file), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise StartupFault(
            f"--tls-key {key_file}: no private key that can be read; expected one in PEM, without a passphrase"
        ) from None
    options = CertificateOptions(  # Twisted's types still name the old classes of pyOpenSSL, which warns of them
        privateKey=key,  # type: ignore[arg-type]
        certificate=certificate,  # type: ignore[arg-type]
        extraCertChain=chain,  # type: ignore[arg-type]
        insecurelyLowerMinimumTo=TLSVersion.TLSv1_2,
    )
    try:
        options.getContext().check_privatekey()
    except SSL.Error as fault:
        raise StartupFault(
            f"--tls-key {key_file}: it does not belong to the certificate in {cert_file} ({_words(fault)})"
        ) from None
    return options


def _read(option: str, name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as fault:
        raise StartupFault(f"{option} {name}: {fault.strerror or fault}") from None


def _words(fault: Exception) -> str:
    """Take the reason out of OpenSSL's list of (library, function, reason)."""
    reasons = fault.args[0] if fault.args and isinstance(fault.args[0], list) else []
    return "; ".join(str(entry[-1]) for entry in reasons) or str(fault) or type(fault).__name__
