"""Connected clients that may no longer be there are cut, and nobody else is."""

import datetime

import pytest
from OpenSSL import SSL

from harness.authority import Authority
from harness.config import proxy
from harness.tls_client import TLS13, TlsClient, connect
from harness.waiting import wait_until


@pytest.fixture
def guarded(start, backend, certificate, authority):
    """Starts Headgate with client_auth; returns it with the configuration, to be changed and written again."""

    def start_guarded(**client_auth):
        client_auth = {"mode": "required", "ca": str(authority.file), **client_auth}
        config = proxy(backend().address, certificate, tls={"client_auth": client_auth})
        return start(config), config

    return start_guarded


def cut(headgate, reason):
    return headgate.metric("headgate_connections_closed_total", reason=reason)


def reload_with(headgate, config, **client_auth):
    config["listeners"][0]["tls"]["client_auth"].update(client_auth)
    headgate.write_config(config)
    status, answer = headgate.post("/reload")
    assert status == 200, answer


def revoke(authority, *pairs):
    return str(authority.revocation_list(*pairs, file="live.crl"))


def test_a_new_list_cuts_those_whom_it_revokes_and_nobody_else(guarded, authority):
    peer, other, revoked_before = (authority.issue(client=True) for _ in range(3))
    headgate, config = guarded(crl=revoke(authority, revoked_before))
    with connect(headgate.port(), certificate=peer) as gone, connect(headgate.port(), certificate=other) as stays:
        gone.exchange(b"in")
        stays.exchange(b"in")
        revoke(authority, revoked_before, peer)
        reload_with(headgate, config)
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_revoked")
        stays.exchange(b"still in")
    assert cut(headgate, "client_revoked") == 1


def test_more_connections_of_one_certificate_than_fit_in_a_turn_are_all_cut(guarded, authority):
    peer, nobody = authority.issue(client=True), authority.issue(client=True)
    headgate, config = guarded(crl=revoke(authority, nobody))
    clients = [connect(headgate.port(), certificate=peer) for _ in range(300)]
    revoke(authority, nobody, peer)
    reload_with(headgate, config)
    headgate.wait_metric("headgate_connections_closed_total", len(clients), reason="client_revoked")
    for client in clients:
        client.close()


def test_revoking_an_intermediate_cuts_those_below_it(guarded, authority):
    middle = authority.intermediate()
    peer, nobody = middle.issue(client=True), authority.issue(client=True)
    trusted = authority.directory / "both.pem"
    trusted.write_bytes(authority.file.read_bytes() + middle.file.read_bytes())

    def write_lists(*revoked):
        lists = authority.directory / "both.crl"
        parts = [authority.revocation_list(*revoked, file="root.crl"), middle.revocation_list(file="middle.crl")]
        lists.with_suffix(".new").write_bytes(b"".join(part.read_bytes() for part in parts))
        lists.with_suffix(".new").rename(lists)
        return str(lists)

    headgate, config = guarded(ca=str(trusted), crl=write_lists(nobody))
    with connect(headgate.port(), certificate=peer) as client:
        client.exchange(b"in")
        write_lists(nobody, peer._replace(x509=middle.certificate))
        reload_with(headgate, config)
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_revoked")


def test_a_client_is_cut_when_its_certificate_expires(guarded, authority):
    soon = authority.issue(client=True, not_after=datetime.timedelta(seconds=4))
    later = authority.issue(client=True)
    headgate, _ = guarded()
    with connect(headgate.port(), certificate=soon) as gone, connect(headgate.port(), certificate=later) as stays:
        gone.exchange(b"in")
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_expired")
        assert datetime.datetime.utcnow() >= soon.x509.not_valid_after
        stays.exchange(b"still in")


def test_a_shorter_allow_list_cuts_those_who_are_no_longer_on_it(guarded, authority):
    alice, bob = authority.issue("alice.test", client=True), authority.issue("bob.test", client=True)
    headgate, config = guarded(allow={"dns": ["alice.test", "bob.test"]})
    with connect(headgate.port(), certificate=alice) as stays, connect(headgate.port(), certificate=bob) as gone:
        stays.exchange(b"in")
        gone.exchange(b"in")
        reload_with(headgate, config, allow={"dns": ["alice.test"]})
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_not_allowed")
        stays.exchange(b"still in")


def test_an_authority_that_is_trusted_no_more_takes_its_clients_with_it(guarded, authority, tmp_path):
    other = Authority(tmp_path / "other")
    both = tmp_path / "both.pem"
    both.write_bytes(authority.file.read_bytes() + other.file.read_bytes())
    headgate, config = guarded(ca=str(both))
    peer, stranger = authority.issue(client=True), other.issue(client=True)
    with connect(headgate.port(), certificate=peer) as stays, connect(headgate.port(), certificate=stranger) as gone:
        stays.exchange(b"in")
        gone.exchange(b"in")
        reload_with(headgate, config, ca=str(authority.file))
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_not_allowed")
        stays.exchange(b"still in")


def test_nobody_is_cut_with_cut_live_off_until_it_is_on(guarded, authority):
    peer, nobody = authority.issue(client=True), authority.issue(client=True)
    headgate, config = guarded(crl=revoke(authority, nobody), cut_live=False)
    with connect(headgate.port(), certificate=peer) as client:
        client.exchange(b"in")
        revoke(authority, peer)
        reload_with(headgate, config)
        client.exchange(b"still in")
        reload_with(headgate, config, cut_live=True)
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_revoked")


def test_a_handshake_that_began_before_the_revocation_does_not_outlive_it(guarded, authority):
    """It is judged by the rules it began with when its certificate arrives: those of now have the last word."""
    peer, nobody = authority.issue(client=True), authority.issue(client=True)
    headgate, config = guarded(crl=revoke(authority, nobody))
    with TlsClient(headgate.port(), certificate=peer, version=TLS13) as client:
        client.socket.sendall(client.client_hello())
        client.receive()
        revoke(authority, peer)
        reload_with(headgate, config)
        try:
            client.handshake()
            client.recv()
        except (SSL.Error, OSError):
            pass

        def refused():
            failures = headgate.metric("headgate_handshake_failures_total", reason="client_certificate_revoked")
            return failures + cut(headgate, "client_revoked") == 1

        wait_until(refused, "the client is refused")
