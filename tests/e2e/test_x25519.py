"""`crypto.x25519`: who computes X25519 makes no difference that a peer can see, at either end, and a reload may change it."""

import pytest

from harness.config import proxy
from harness.tls_client import TLS12, TLS13, connect

VERSIONS = [TLS12, TLS13]


def configured(backend, certificate, x25519, app=None):
    return proxy(backend, certificate, tls={"groups": ["X25519", "P-256"]}, app=app, crypto={"x25519": x25519})


def shakes_hands(headgate):
    for version in VERSIONS:
        with connect(headgate.port(), version=version) as client:
            client.exchange(b"x25519")


@pytest.mark.parametrize("x25519", ["auto", "openssl"])
def test_clients_of_both_versions_are_served(start, backend, certificate, x25519):
    headgate = start(configured(backend().address, certificate, x25519))
    shakes_hands(headgate)
    for version in ("TLSv1.2", "TLSv1.3"):
        headgate.wait_metric("headgate_handshakes_negotiated_total", version=version, group="x25519")


@pytest.mark.parametrize("theirs", ["auto", "openssl"])
def test_two_proxies_meet_whoever_computes(start, backend, certificate, authority, theirs):
    """The one in front is a client of the one behind."""
    behind = start(configured(backend().address, certificate, theirs))
    tls = {"ca": str(authority.file), "server_name": "app.test"}
    shakes_hands(start(configured(behind.address(), certificate, "auto", app={"tls": tls})))


def test_a_reload_changes_it_without_losing_a_connection(start, backend, certificate):
    address = backend().address
    headgate = start(configured(address, certificate, "auto"))
    with connect(headgate.port()) as before:
        for x25519 in ("openssl", "auto"):
            headgate.write_config(configured(address, certificate, x25519))
            assert headgate.post("/reload")[0] == 200
            shakes_hands(headgate)
            before.exchange(b"still there")
