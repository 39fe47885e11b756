"""What serves TLS: a certificate and its key out of two PEM files."""

from __future__ import annotations

import ssl
from pathlib import Path


class UnusableTLS(Exception):
    """Files that serve no TLS. `path` is the one to look at; the message says in one line why and what to do."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class _HasPassPhrase(Exception):
    """The key is encrypted, and nobody is there to be asked for its pass phrase."""


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and newer, HTTP/1.1 alone. Raises UnusableTLS; never asks for a pass phrase."""
    for path in (certificate, key):
        _check_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_refuse)
    except _HasPassPhrase:
        remedy = "write one without a pass phrase: `openssl pkey -in OLD -out NEW`"
        raise UnusableTLS(key, f"the key {key} is encrypted; {remedy}") from None
    except OSError:  # what OpenSSL says of it is for those who know OpenSSL
        reason = f"{certificate} and {key} are no certificate and its key"
        raise UnusableTLS(certificate, f"{reason}; name two PEM files that belong together") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except FileNotFoundError:
        reason = "is not there; name a PEM file"
    except IsADirectoryError:
        reason = "is a folder; name a PEM file in it"
    except OSError as fault:
        reason = f"cannot be read: {fault.strerror or fault}; give it to the user who runs Callboard (chown, chmod)"
    raise UnusableTLS(path, f"{path} {reason}")


def _refuse() -> str:
    raise _HasPassPhrase
