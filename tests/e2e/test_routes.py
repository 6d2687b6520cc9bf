"""Which backend a connection goes to, who may connect, and how many."""

import socket

import pytest

from harness.backends import greeting_then_echo
from harness.config import plain_proxy, proxy
from harness.servers import short_directory
from harness.tls_client import TlsClient, connect, raw_socket, read_to_end


@pytest.fixture
def routed(start, backend, certificate, authority):
    """Headgate with routes by SNI and ALPN; each backend sends its own letter first."""

    def start_routed(routes, default="app", **options):
        config = proxy(backend(greeting_then_echo(b"d")).address, certificate, **options)
        config["listeners"][0]["routes"] = routes
        if default is None:
            del config["listeners"][0]["backend"]
        for letter in "ab":
            config["backends"][letter] = {"servers": [backend(greeting_then_echo(letter.encode())).address]}
        return start(config)

    return start_routed


def greeted(headgate, **options):
    with connect(headgate.port(), **options) as client:
        return client.recv_exactly(1).decode()


def test_the_first_route_whose_name_matches_wins(routed):
    headgate = routed([{"sni": ["a.test", "*.a.test"], "backend": "a"}, {"sni": ["*.test"], "backend": "b"}])
    assert greeted(headgate, sni="a.test") == "a"
    assert greeted(headgate, sni="x.a.test") == "a"
    assert greeted(headgate, sni="y.test") == "b"
    assert greeted(headgate, sni="elsewhere.invalid") == "d"
    assert greeted(headgate, sni=None) == "d"


def test_all_conditions_of_a_route_must_hold(routed):
    headgate = routed([{"sni": ["a.test"], "alpn": ["h2"], "backend": "a"}], tls={"alpn": ["h2", "http/1.1"]})
    assert greeted(headgate, sni="a.test", alpn=["h2"]) == "a"
    assert greeted(headgate, sni="a.test", alpn=["http/1.1"]) == "d"
    assert greeted(headgate, sni="b.test", alpn=["h2"]) == "d"


def test_what_no_route_takes_is_refused_without_a_default_backend(routed):
    headgate = routed([{"sni": ["a.test"], "backend": "a"}], default=None)
    assert greeted(headgate, sni="a.test") == "a"
    with connect(headgate.port(), sni="b.test") as client:
        client.wait_transport_end()
    headgate.wait_metric("headgate_connections_closed_total", reason="no_route")


def test_a_route_may_ask_for_a_spiffe_id(routed, authority):
    tls = {"client_auth": {"mode": "optional", "ca": str(authority.file)}}
    headgate = routed([{"spiffe": ["spiffe://prod/*"], "backend": "a"}], tls=tls)
    prod = authority.issue(client=True, uris=["spiffe://prod/web"])
    test = authority.issue(client=True, uris=["spiffe://test/web"])
    assert greeted(headgate, certificate=prod) == "a"
    assert greeted(headgate, certificate=test) == "d"
    assert greeted(headgate) == "d"


def test_a_passthrough_route_relays_the_tls_bytes_as_they_came(start, backend, certificate, authority):
    """The backend terminates: the client sees the backend's own certificate."""
    theirs = authority.issue("legacy.test")
    behind = start(proxy(backend(greeting_then_echo(b"l")).address, theirs))
    config = proxy(backend(greeting_then_echo(b"d")).address, certificate)
    config["listeners"][0]["routes"] = [{"sni": ["legacy.test"], "passthrough": True, "backend": "legacy"}]
    config["backends"]["legacy"] = {"servers": [behind.address()]}
    headgate = start(config)
    with connect(headgate.port(), sni="legacy.test") as client:
        assert client.certificate() == theirs.x509
        assert client.recv_exactly(1) == b"l"
        client.exchange(b"end to end")
    with connect(headgate.port(), sni="app.test") as client:
        assert client.certificate() == certificate.x509
        assert client.recv_exactly(1) == b"d"


def test_a_split_client_hello_still_finds_its_passthrough_route(start, backend, certificate, authority):
    theirs = authority.issue("legacy.test")
    behind = start(proxy(backend(greeting_then_echo(b"l")).address, theirs))
    config = proxy(backend().address, certificate)
    config["listeners"][0]["routes"] = [{"sni": ["legacy.test"], "passthrough": True, "backend": "legacy"}]
    config["backends"]["legacy"] = {"servers": [behind.address()]}
    headgate = start(config)
    with TlsClient(headgate.port(), sni="legacy.test") as client:
        for value in client.client_hello():
            client.socket.sendall(bytes([value]))
        client.handshake()
        assert client.recv_exactly(1) == b"l"


def test_a_source_that_is_denied_gets_nothing(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener={"deny": ["127.0.0.0/8"]}))
    with TlsClient(headgate.port()) as client:
        client.socket.sendall(client.client_hello())
        client.wait_transport_end()
    headgate.wait_metric("headgate_connections_closed_total", reason="source_denied")


def test_only_sources_of_the_allow_list_are_served(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener={"allow": ["127.0.0.0/8"]}))
    with connect(headgate.port()) as client:
        client.exchange(b"x")
    other = start(proxy(backend().address, certificate, listener={"allow": ["192.0.2.0/24"]}))
    with TlsClient(other.port()) as client:
        client.socket.sendall(client.client_hello())
        client.wait_transport_end()
    other.wait_metric("headgate_connections_closed_total", reason="source_denied")


def test_deny_wins_over_allow(start, backend):
    listener = {"allow": ["127.0.0.0/8"], "deny": ["127.0.0.1"]}
    headgate = start(plain_proxy(backend(greeting_then_echo(b"d")).address, listener=listener))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"x")
        assert read_to_end(client) == b""


def test_no_more_than_max_connections_are_open(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener={"limits": {"max_connections": 3}}))
    clients = [connect(headgate.port()) for _ in range(3)]
    try:
        for client in clients:
            client.exchange(b"x")
        with TlsClient(headgate.port()) as late:
            late.socket.sendall(late.client_hello())
            late.wait_transport_end()
        headgate.wait_metric("headgate_connections_closed_total", reason="connection_limit")
    finally:
        for client in clients:
            client.close()
    headgate.wait_metric("headgate_connections_active", 0)
    with connect(headgate.port()) as client:
        client.exchange(b"room again")


def test_no_more_than_max_connections_per_source_are_open(start, backend, certificate):
    limits = {"limits": {"max_connections_per_source": 2}}
    headgate = start(proxy(backend().address, certificate, listener=limits))
    with connect(headgate.port()) as one, connect(headgate.port()) as two:
        one.exchange(b"x")
        two.exchange(b"x")
        with TlsClient(headgate.port()) as late:
            late.socket.sendall(late.client_hello())
            late.wait_transport_end()
    headgate.wait_metric("headgate_connections_closed_total", reason="source_limit")


def test_a_listener_may_be_bound_to_many_addresses(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener={"bind": ["127.0.0.1:0", "127.0.0.2:0"]}))
    for index in range(2):
        host, port = headgate.address(index=index).split(":")
        connection = socket.create_connection((host, int(port)), timeout=30)
        with TlsClient(0, connected=connection).handshake() as client:
            client.exchange(b"x")


def test_a_listener_may_be_a_unix_socket(start, backend, certificate):
    path = short_directory() / "in.sock"
    start(proxy(backend().address, certificate, listener={"bind": f"unix:{path}"}))
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(path))
    with TlsClient(0, connected=connection).handshake() as client:
        client.exchange(b"over a path")


def test_ipv6_is_listened_to(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener={"bind": "[::1]:0"}))
    connection = socket.create_connection(("::1", headgate.port()), timeout=30)
    with TlsClient(0, connected=connection).handshake() as client:
        client.exchange(b"six")
