"""GnuTLS's client, whose record layer and state machine share nothing with OpenSSL's."""

import pytest

from harness.config import proxy
from harness.dialogue import Dialogue
from harness.tools import tool


def gnutls_cli(headgate, authority, priority="NORMAL", *options):
    return Dialogue(
        tool("gnutls-cli"), "--x509cafile", authority.file, "--sni-hostname", "app.test",
        "--verify-hostname", "app.test", "--priority", priority, *options, "-p", headgate.port(), "127.0.0.1",
    )  # fmt: skip


PRIORITIES = [
    "NORMAL",
    "NORMAL:-VERS-ALL:+VERS-TLS1.2",
    "NORMAL:-VERS-ALL:+VERS-TLS1.3",
    "NORMAL:-GROUP-ALL:+GROUP-X25519",
    "NORMAL:-GROUP-ALL:+GROUP-SECP256R1",
    "NORMAL:-GROUP-ALL:+GROUP-SECP384R1",
    "NORMAL:-CIPHER-ALL:+AES-128-GCM",
    "NORMAL:-CIPHER-ALL:+AES-256-GCM",
    "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305",
]


@pytest.mark.parametrize("priority", PRIORITIES)
def test_gnutls_exchanges_data(start, backend, certificate, authority, record_layer, priority):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    with gnutls_cli(headgate, authority, priority) as client:
        client.expect("Handshake was completed")
        client.say("through gnutls\n")
        client.expect("through gnutls")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_gnutls_resumes_its_session(start, backend, certificate, authority, version):
    headgate = start(proxy(backend().address, certificate))
    with gnutls_cli(headgate, authority, f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "--resume") as client:
        client.expect("This is a resumed session")
        client.say("resumed\n")
        client.expect("resumed\n")


@pytest.mark.parametrize("modes, tickets", [("psk_ke", 0), ("psk_dhe_ke", 1)])
def test_a_client_that_accepts_a_psk_only_without_key_exchange_gets_no_ticket(
    start, backend, certificate, authority, record_layer, modes, tickets
):
    """Headgate would never accept its ticket. RFC 8446, section 4.2.9."""
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    kind = {"psk_ke": "+PSK", "psk_dhe_ke": "+ECDHE-PSK"}[modes]
    priority = f"NORMAL:-VERS-ALL:+VERS-TLS1.3:{kind}"
    with gnutls_cli(headgate, authority, priority, "--pskusername", "nobody", "--pskkey", "00") as client:
        client.expect("Handshake was completed")
        client.say("served\n")
        client.expect("served")
    headgate.wait_metric("headgate_handshakes_total", result="ok")
    assert headgate.metric("headgate_sessions_tickets_total", event="issued") == tickets


def test_gnutls_ends_in_order(start, backend, certificate, authority, record_layer):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    with gnutls_cli(headgate, authority) as client:
        client.expect("Handshake was completed")
        client.say("last words\n")
        client.expect("last words")
        client.end_input()
        assert client.expect_end() == 0
    headgate.wait_metric("headgate_connections_closed_total", reason="finished")


def test_gnutls_rekeys(start, backend, certificate, authority, record_layer):
    """The client's inline command sends a KeyUpdate that asks for one of ours."""
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    options = ["--inline-commands"]
    with gnutls_cli(headgate, authority, "NORMAL:-VERS-ALL:+VERS-TLS1.3", *options) as client:
        client.expect("Handshake was completed")
        client.say("before\n")
        client.expect("before")
        client.say("^rekey^\n")
        client.say("after\n")
        client.expect("after")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_gnutls_shows_a_client_certificate(start, backend, certificate, authority, version):
    client_auth = {"mode": "required", "ca": str(authority.file), "allow": {"dns": ["gnutls.test"]}}
    headgate = start(proxy(backend().address, certificate, tls={"client_auth": client_auth}))
    ours = authority.issue("gnutls.test", client=True)
    options = ["--x509certfile", ours.certificate, "--x509keyfile", ours.key]
    with gnutls_cli(headgate, authority, f"NORMAL:-VERS-ALL:+VERS-TLS{version}", *options) as client:
        client.expect("Handshake was completed")
        client.say("known by name\n")
        client.expect("known by name\n")
