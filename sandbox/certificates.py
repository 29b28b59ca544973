"""A certificate that nobody vouches for, for 127.0.0.1."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

OPENSSL = shutil.which("openssl")
"""The program that makes it; None: it is not installed."""

CERTIFICATE = "certificate.pem"
"""What the certificate's file is called."""


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's side that has one, and the certificate."""
    assert OPENSSL is not None
    key, made = folder / "key.pem", folder / CERTIFICATE
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(made)]
    command = [OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *files, *subject]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - its own words only
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(made, key)
    return server, made
