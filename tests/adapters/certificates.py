"""Certificates that nobody has signed, made by openssl where there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def openssl(*arguments: object) -> None:
    """Skips where there is no openssl."""
    if (program := shutil.which("openssl")) is None:
        pytest.skip("there is no openssl to make a certificate with")
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True)


def write_pems(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for localhost and its key, in files of this name."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost")
    openssl("req", "-x509", *kind, "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate)
    return certificate, key
