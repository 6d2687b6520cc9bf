"""Four published ways in which TLS proxies have let in clients that they should refuse. None of them works here."""

import ssl

import pytest
from OpenSSL import SSL

from harness.authority import Authority
from harness.config import proxy
from harness.tls_client import TLS12, TLS13, connect, python_context, raw_socket, visit

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"])
MODES = pytest.mark.parametrize("mode", ["optional", "required"])
INJECTED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ninjected"


# The class of CVE-2025-23419: a session of a listener without client certificates is resumed at one that requires them.


@VERSIONS
def test_a_ticket_from_before_a_certificate_was_required_opens_nothing(start, backend, certificate, authority, version):
    one = backend()
    config = proxy(one.address, certificate)
    headgate = start(config)
    context = python_context(version=version)
    _, session = visit(headgate.port(), context)
    config["listeners"][0]["tls"]["client_auth"] = {"mode": "required", "ca": str(authority.file)}
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    accepted = one.accepted
    with pytest.raises((OSError, AssertionError)):
        visit(headgate.port(), context, session)
    assert one.accepted == accepted


@VERSIONS
def test_a_ticket_of_one_listeners_authority_opens_no_listener_of_another(
    start, backend, certificate, authority, version, tmp_path
):
    other = Authority(tmp_path / "other")
    config = proxy(backend().address, certificate)
    first = config["listeners"][0]
    config["listeners"].append({**first, "name": "other"})
    for listener, ca in zip(config["listeners"], (authority, other)):
        listener["tls"] = {**first["tls"], "client_auth": {"mode": "required", "ca": str(ca.file)}}
    headgate = start(config)
    context = python_context(version=version, certificate=authority.issue(client=True))
    _, session = visit(headgate.port("web"), context)
    with pytest.raises((OSError, AssertionError)):
        visit(headgate.port("other"), context, session)


# The class of CVE-2026-28755: a handshake succeeds although revocation says no.


@MODES
@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
def test_no_handshake_of_a_revoked_client_succeeds(start, backend, certificate, authority, mode, version):
    one, peer = backend(), authority.issue(client=True)
    crl = authority.revocation_list(peer, file="revoked.crl")
    client_auth = {"mode": mode, "ca": str(authority.file), "crl": str(crl)}
    headgate = start(proxy(one.address, certificate, tls={"client_auth": client_auth}))
    with pytest.raises((SSL.Error, OSError)):
        with connect(headgate.port(), certificate=peer, version=version) as client:
            client.exchange(b"let in")
    assert headgate.metric("headgate_handshakes_total", result="ok") == 0
    headgate.wait_metric("headgate_handshake_failures_total", 1, reason="client_certificate_revoked")
    assert one.accepted == 0


# The class of CVE-2026-1642: plaintext that an attacker on the way adds before TLS passes for data from inside TLS.
# The tests for STARTTLS are in test_starttls.


def test_plaintext_slipped_in_before_the_clients_tls_reaches_no_backend(start, backend, certificate):
    one = backend()
    headgate = start(proxy(one.address, certificate))
    with raw_socket(headgate.port()) as plain:
        plain.sendall(b"\x00injected")
        with pytest.raises((SSL.Error, OSError)):
            connect(0, connected=plain)
    headgate.wait_metric("headgate_connections_active", 0)
    assert headgate.metric("headgate_handshakes_total", result="ok") == 0
    assert one.accepted == 0


def test_plaintext_slipped_in_before_the_backends_tls_reaches_no_client(start, backend, certificate, authority):
    def answer_in_plaintext(connection):
        connection.sendall(INJECTED)
        while connection.recv(4096):
            pass

    one = backend(answer_in_plaintext)
    headgate = start(proxy(f"localhost:{one.port}", certificate, app={"tls": {"ca": str(authority.file)}}))
    received = b""
    with connect(headgate.port()) as client:
        try:
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            received = client.recv_to_end()
        except (SSL.Error, OSError):
            pass
    assert received == b""
    headgate.wait_metric("headgate_backend_connect_failures_total", reason="tls")


# A ticket outlives the certificate it was issued under.


@VERSIONS
def test_a_ticket_of_a_certificate_since_replaced_resumes_nothing(start, backend, authority, version):
    own = authority.issue("app.test", file=f"replaced-{version.name}")
    headgate = start(proxy(backend().address, own))
    context = python_context(version=version)
    _, session = visit(headgate.port(), context)
    assert visit(headgate.port(), context, session)[0]
    _, session = visit(headgate.port(), context)
    authority.issue("app.test", file=f"replaced-{version.name}")
    assert headgate.post("/reload")[0] == 200
    resumed, _ = visit(headgate.port(), context, session)
    assert not resumed
    headgate.wait_metric("headgate_sessions_tickets_total", 1, event="refused_policy")


@VERSIONS
def test_a_ticket_of_a_name_since_removed_resumes_nothing(start, backend, certificate, authority, version):
    other = authority.issue("other.test")
    config = proxy(backend().address, certificate, other)
    headgate = start(config)
    context = python_context(version=version)
    _, session = visit(headgate.port(), context, sni="other.test")
    del config["listeners"][0]["tls"]["certificates"][1]
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    resumed, _ = visit(headgate.port(), context, session, sni="other.test")
    assert not resumed
