"""Certificates that Go's crypto/x509 made, by mkcert: PKCS#8 keys, its own order of extensions, SANs of every kind."""

import os

import pytest

from harness.config import proxy
from harness.tools import run, tool

KEYS = pytest.mark.parametrize("key", ["ecdsa", "rsa"])


class Mkcert:
    """An authority of mkcert's, which it makes with the first certificate."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = directory / "rootCA.pem"

    def issue(self, name, key, *options):
        """The configuration of a certificate for `name`, localhost and 127.0.0.1."""
        pair = {part: str(self.directory / f"{name}-{key}-{part}.pem") for part in ("certificate", "private_key")}
        words = [*options, *(["-ecdsa"] if key == "ecdsa" else [])]
        told = run(tool("mkcert"), *words, "-cert-file", pair["certificate"], "-key-file", pair["private_key"], name,
                   "localhost", "127.0.0.1",
                   env={**os.environ, "CAROOT": str(self.directory), "TRUST_STORES": "none"}, seconds=120)  # fmt: skip
        assert told.returncode == 0, told
        return pair


@pytest.fixture(scope="module")
def mkcert(tmp_path_factory):
    return Mkcert(tmp_path_factory.mktemp("mkcert"))


def s_client(headgate, mkcert, *options):
    return run(tool("openssl"), "s_client", "-connect", headgate.address(), "-servername", "app.test", "-CAfile", mkcert.ca,
               "-verify_hostname", "app.test", "-verify_return_error", *options)  # fmt: skip


@KEYS
def test_what_go_made_is_served_and_verifies(start, backend, mkcert, key):
    headgate = start(proxy(backend().address, tls={"certificates": [mkcert.issue("app.test", key)]}))
    told = s_client(headgate, mkcert)
    assert "Verification: OK" in told.stdout, told
    certificate = headgate.status()["certificates"][0]
    assert set(certificate["names"]) == {"app.test", "localhost", "127.0.0.1"} and not certificate["fault"]


@KEYS
def test_a_client_certificate_that_go_made_lets_in_by_its_name(start, backend, mkcert, key):
    mine = mkcert.issue("client.test", key, "-client")
    auth = {"mode": "required", "ca": str(mkcert.ca), "allow": {"dns": ["client.test"]}}
    tls = {"certificates": [mkcert.issue("app.test", "ecdsa")], "client_auth": auth}
    headgate = start(proxy(backend().address, tls=tls))
    told = s_client(headgate, mkcert, "-cert", mine["certificate"], "-key", mine["private_key"])
    assert "Verification: OK" in told.stdout, told
    headgate.wait_metric("headgate_handshakes_total", 1, result="ok")
    s_client(headgate, mkcert)
    headgate.wait_metric("headgate_handshake_failures_total", 1, reason="client_certificate_missing")
