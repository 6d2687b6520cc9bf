"""Headgate cuts the connected clients that are no longer allowed, and no other client."""

import copy
import datetime
import ssl
import time

import pytest
from OpenSSL import SSL

from harness.authority import Authority
from harness.config import proxy
from harness.tls_client import TLS12, TLS13, TlsClient, connect, handshake_alert, python_context, python_tls, visit
from harness.waiting import wait_until, wait_until_quick


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


def test_revoking_a_ca_above_the_first_trusted_one_refuses_and_cuts_those_below_it(guarded, authority):
    """All CAs are in the file, so each chain ends at the lowest of them. The root revokes the one in the middle."""
    upper = authority.intermediate("Upper CA")
    lower = upper.intermediate("Lower CA")
    peer = lower.issue(client=True)
    cas = (authority, upper, lower)
    trusted, lists = authority.directory / "all.pem", authority.directory / "all.crl"
    trusted.write_bytes(b"".join(ca.file.read_bytes() for ca in cas))

    def write_lists(*revoked):
        parts = [ca.revocation_list(*(revoked if ca is authority else ()), file="one.crl") for ca in cas]
        lists.with_suffix(".new").write_bytes(b"".join(part.read_bytes() for part in parts))
        lists.with_suffix(".new").rename(lists)

    write_lists()
    headgate, config = guarded(ca=str(trusted), crl=str(lists))
    with connect(headgate.port(), certificate=peer) as client:
        client.exchange(b"in")
        write_lists(peer._replace(x509=upper.certificate))
        reload_with(headgate, config)
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_revoked")
    assert "revoked" in handshake_alert(headgate.port(), certificate=peer)


def in_time(enter):
    """What `enter(life)` returns for the shortest life of a certificate that does not end on the way in: on a busy machine
    that takes longer."""
    for seconds in (4, 8, 16):
        try:
            return enter(datetime.timedelta(seconds=seconds))
        except (OSError, SSL.Error, AssertionError):
            continue
    return enter(datetime.timedelta(seconds=25))


def enters(headgate, pair):
    client = connect(headgate.port(), certificate=pair)
    client.exchange(b"in")
    return client


def wait_expired(headgate, client):
    """Waits until Headgate has cut the client because its certificate has expired."""
    assert client.wait_transport_end() in ("end", "reset")
    wait_until(lambda: cut(headgate, "client_expired") >= 1, lambda: headgate.output)


def test_a_client_is_cut_when_its_certificate_expires(guarded, authority):
    later = authority.issue(client=True)
    headgate, _ = guarded()

    def enter(life):
        soon = authority.issue(client=True, not_after=life)
        return soon, enters(headgate, soon)

    with connect(headgate.port(), certificate=later) as stays:
        soon, gone = in_time(enter)
        with gone:
            wait_expired(headgate, gone)
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
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_untrusted")
        stays.exchange(b"still in")


def test_an_authority_that_is_bound_to_a_trust_domain_keeps_the_workloads_of_that_domain_alone(
    guarded, authority, tmp_path
):
    other = Authority(tmp_path / "other")
    prod, plain = authority.issue(client=True, uris=["spiffe://prod/web"]), authority.issue("prod", client=True)
    headgate, config = guarded()
    with connect(headgate.port(), certificate=prod) as workload, connect(headgate.port(), certificate=plain) as gone:
        workload.exchange(b"in")
        gone.exchange(b"in")
        reload_with(headgate, config, ca={"prod": str(authority.file)})
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_untrusted")
        workload.exchange(b"still in")
        reload_with(headgate, config, ca={"prod": str(other.file), "staging": str(authority.file)})
        headgate.wait_metric("headgate_connections_closed_total", 2, reason="client_untrusted")


def test_an_intermediate_taken_from_the_ca_file_cuts_those_who_were_verified_by_it(guarded, authority):
    """Clients that send the intermediate themselves may come again, because their chain reaches the root."""
    middle = authority.intermediate()
    needs, sends, beside = middle.issue(client=True, chain=False), middle.issue(client=True), authority.issue(client=True)
    both = authority.directory / "both.pem"
    both.write_bytes(authority.file.read_bytes() + middle.file.read_bytes())
    headgate, config = guarded(ca=str(both))
    with connect(headgate.port(), certificate=beside) as stays:
        stays.exchange(b"in")
        clients = [connect(headgate.port(), certificate=pair) for pair in (sends, needs)]
        for client in clients:
            client.exchange(b"in")
        reload_with(headgate, config, ca=str(authority.file))
        headgate.wait_metric("headgate_connections_closed_total", 2, reason="client_untrusted")
        for client in clients:
            client.close()
        stays.exchange(b"still in")
    with connect(headgate.port(), certificate=sends) as client:
        client.exchange(b"in again")
    assert handshake_alert(headgate.port(), certificate=needs)


def test_an_intermediate_in_the_place_of_its_root_keeps_those_who_sent_it(guarded, authority):
    middle = authority.intermediate()
    below, beside = middle.issue(client=True), authority.issue(client=True)
    headgate, config = guarded()
    with connect(headgate.port(), certificate=below) as stays, connect(headgate.port(), certificate=beside) as gone:
        stays.exchange(b"in")
        gone.exchange(b"in")
        reload_with(headgate, config, ca=str(middle.file))
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_untrusted")
        stays.exchange(b"still in")


def test_a_ca_that_is_renewed_with_its_key_cuts_nobody(guarded, authority):
    peer = authority.issue(client=True)
    headgate, config = guarded()
    with connect(headgate.port(), certificate=peer) as client:
        client.exchange(b"in")
        authority.renew()
        reload_with(headgate, config)
        client.exchange(b"still in")
    assert cut(headgate, "client_untrusted") == 0


def test_the_expiry_of_a_ca_above_it_cuts_a_client(guarded, authority):
    beside = authority.issue(client=True)
    headgate, _ = guarded()

    def enter(life):
        middle = authority.intermediate(not_after=life)
        return middle, enters(headgate, middle.issue(client=True))

    with connect(headgate.port(), certificate=beside) as stays:
        middle, gone = in_time(enter)
        with gone:
            wait_expired(headgate, gone)
        assert datetime.datetime.utcnow() >= middle.certificate.not_valid_after
        stays.exchange(b"still in")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_resumed_client_is_cut_by_the_expiry_of_a_ca_above_it(guarded, authority, version):
    """Only the ticket has the certificates above the leaf."""
    headgate, _ = guarded()

    def enter(life):
        middle = authority.intermediate(not_after=life)
        context = python_context(certificate=middle.issue(client=True), version=version)
        resumed, session = visit(headgate.port(), context)
        assert not resumed
        client = python_tls(headgate.port(), context=context, session=session)
        client.sendall(b"in")
        assert client.recv(2) == b"in" and client.session_reused
        return context, session, client

    context, session, client = in_time(enter)
    with client:
        wait_until(lambda: cut(headgate, "client_expired") >= 1, lambda: headgate.output)
    with pytest.raises(OSError):
        visit(headgate.port(), context, session)


def test_an_issuer_whose_list_is_dropped_takes_its_clients_with_it(guarded, authority):
    middle = authority.intermediate()
    below, beside = middle.issue(client=True), authority.issue(client=True)
    trusted = authority.directory / "both.pem"
    trusted.write_bytes(authority.file.read_bytes() + middle.file.read_bytes())
    root_list = authority.revocation_list(file="root.crl")
    both = authority.directory / "both.crl"
    both.write_bytes(root_list.read_bytes() + middle.revocation_list(file="middle.crl").read_bytes())
    headgate, config = guarded(ca=str(trusted), crl=str(both))
    with connect(headgate.port(), certificate=beside) as stays, connect(headgate.port(), certificate=below) as gone:
        stays.exchange(b"in")
        gone.exchange(b"in")
        reload_with(headgate, config, crl=str(root_list))
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_untrusted")
        stays.exchange(b"still in")


def test_the_first_list_there_is_cuts_those_whom_it_revokes(guarded, authority):
    peer, other = authority.issue(client=True), authority.issue(client=True)
    headgate, config = guarded()
    with connect(headgate.port(), certificate=peer) as gone, connect(headgate.port(), certificate=other) as stays:
        gone.exchange(b"in")
        stays.exchange(b"in")
        reload_with(headgate, config, crl=revoke(authority, peer))
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_revoked")
        stays.exchange(b"still in")


def test_one_who_passes_by_another_entry_of_the_allow_list_stays_until_that_goes_too(guarded, authority):
    peer = authority.issue("peer.test", client=True)
    headgate, config = guarded(allow={"dns": ["peer.test", "*.test"]})
    with connect(headgate.port(), certificate=peer) as client:
        client.exchange(b"in")
        reload_with(headgate, config, allow={"dns": ["*.test"]})
        client.exchange(b"still in")
        reload_with(headgate, config, allow={"dns": ["other.test"]})
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_not_allowed")


def test_a_change_cuts_within_a_second(guarded, authority):
    """A change of the file is enough, once the file has not changed for a fifth of a second."""
    revoked = [authority.issue(client=True)]
    headgate, _ = guarded(crl=revoke(authority, *revoked))

    def revoke_one():
        revoked.append(authority.issue(client=True))
        with enters(headgate, revoked[-1]) as client:
            began = time.monotonic()
            revoke(authority, *revoked)
            assert client.wait_transport_end() in ("end", "reset")
            return time.monotonic() - began

    wait_until_quick(revoke_one, 1)
    headgate.wait_metric("headgate_connections_closed_total", len(revoked) - 1, reason="client_revoked")


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


def ask(headgate, config, authority, mode, **options):
    """Changes the mode of the first listener."""
    ca = {} if mode == "none" else {"ca": str(authority.file)}
    config["listeners"][0]["tls"]["client_auth"] = {"mode": mode, **ca, **options}
    headgate.write_config(config)
    status, answer = headgate.post("/reload")
    assert status == 200, answer


@pytest.fixture
def open_to_all(start, backend, certificate):
    config = proxy(backend().address, certificate)
    return start(config), config


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_client_without_a_certificate_is_cut_when_one_is_required(open_to_all, authority, version):
    headgate, config = open_to_all
    with connect(headgate.port(), version=version) as client:
        client.exchange(b"in")
        ask(headgate, config, authority, "optional")
        client.exchange(b"still in")
        ask(headgate, config, authority, "required", cut_live=False)
        client.exchange(b"still in")
        with connect(headgate.port(), version=version, certificate=authority.issue(client=True)) as peer:
            peer.exchange(b"in")
            ask(headgate, config, authority, "required")
            assert client.wait_transport_end() in ("end", "reset")
            peer.exchange(b"still in")
    headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_not_allowed")
    detail = '"detail":"the client has shown no certificate, and now needs one"'
    wait_until(lambda: detail in headgate.output, lambda: headgate.output)


def test_a_requirement_of_certificates_cuts_nobody_elsewhere(start, backend, certificate, authority):
    """Neither at another listener, nor where TLS passes through."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.certificate, certificate.key)
    through = backend(wrap=lambda connection: server.wrap_socket(connection, server_side=True))
    config = proxy(backend().address, certificate)
    config["backends"]["through"] = {"servers": [through.address]}
    listener = config["listeners"][0]
    listener["routes"] = [{"sni": ["through.test"], "passthrough": True, "backend": "through"}]
    config["listeners"].append({**copy.deepcopy(listener), "name": "open"})
    headgate = start(config)
    with (
        connect(headgate.port(listener["name"])) as client,
        connect(headgate.port(listener["name"]), sni="through.test") as passing,
        connect(headgate.port("open")) as elsewhere,
    ):
        for one in (client, passing, elsewhere):
            one.exchange(b"in")
        ask(headgate, config, authority, "required")
        assert client.wait_transport_end() in ("end", "reset")
        for one in (passing, elsewhere):
            one.exchange(b"still in")


def test_a_handshake_without_a_certificate_does_not_outlive_the_requirement_of_one(open_to_all, authority):
    headgate, config = open_to_all
    with TlsClient(headgate.port(), version=TLS13) as client:
        client.socket.sendall(client.client_hello())
        client.receive()
        ask(headgate, config, authority, "required")
        try:
            client.handshake()
            client.wait_transport_end()
        except (SSL.Error, OSError):
            pass
    headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_not_allowed")


def test_a_handshake_that_began_before_the_revocation_does_not_outlive_it(guarded, authority):
    """A certificate that arrives is evaluated by the rules of the handshake's beginning, and then by the present
    rules. The present rules decide."""
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
