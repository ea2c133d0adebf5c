"""TLS certificates from files."""

from __future__ import annotations

import re
from pathlib import Path

from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, TLSVersion

from slanger.faults import StartupFault

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def read_certificate(cert_file: str, key_file: str) -> CertificateOptions:
    """Read a certificate and its private key, for TLS 1.2 and newer.

    :param cert_file: PEM; the certificate first, then the chain to its root, as ACME clients write `fullchain.pem`.
    :param key_file: PEM; may be the same file.
    :raises StartupFault: with the file and what is wrong with it.
    """
    pems = _CERTIFICATE.findall(_read("--tls-cert", cert_file))
    if not pems:
        raise StartupFault(f"--tls-cert {cert_file}: no certificate in it; expected one or more in PEM")
    try:
        certificate, *chain = [crypto.load_certificate(crypto.FILETYPE_PEM, pem) for pem in pems]
    except (crypto.Error, ValueError) as fault:
        raise StartupFault(f"--tls-cert {cert_file}: not a certificate ({_words(fault)}); expected PEM") from None
    try:
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, _read("--tls-key", key_file), b"")
    except (crypto.Error, ValueError, TypeError) as fault:
        raise StartupFault(
            f"--tls-key {key_file}: not a private key ({_words(fault)}); expected one in PEM, without a passphrase"
        ) from None
    options = CertificateOptions(
        privateKey=key, certificate=certificate, extraCertChain=chain, insecurelyLowerMinimumTo=TLSVersion.TLSv1_2
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
