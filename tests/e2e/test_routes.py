"""Which backend a connection goes to, who may connect, and how many."""

import socket

import pytest

from harness.backends import greeting_then_echo
from harness.config import plain_proxy, proxy
from harness.servers import short_directory
from harness.tls_client import TlsClient, connect, handshake_alert, raw_socket, read_to_end
from harness.tools import headgate_binary, run
from harness.waiting import wait_until


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


def checked_passthrough(start, server, certificate):
    """Headgate whose only backend is reached by passthrough and checked with TLS."""
    config = proxy(server, certificate, app={"health_check": {"type": "tls", "interval": "50ms", "rise": 1, "fall": 1}})
    listener = config["listeners"][0]
    del listener["backend"]
    listener["routes"] = [{"sni": "app.test", "passthrough": True, "backend": "app"}]
    return start(config)


@pytest.mark.parametrize(
    "strict",
    [{}, {"missing_name": "reject"}, {"max_version": "1.2", "client_auth": {"mode": "required"}}],
    ids=["open", "wants a name", "wants a certificate"],
)
def test_a_healthy_server_behind_a_passthrough_stays_up(start, backend, certificate, authority, strict):
    """Its certificate is its clients' business: no authority of this machine knows it."""
    if "client_auth" in strict:
        strict = {**strict, "client_auth": {"mode": "required", "ca": str(authority.file)}}
    server = start(proxy(backend().address, certificate, tls=strict))
    headgate = checked_passthrough(start, server.address(), certificate)
    wait_until(lambda: server.metric("headgate_connections_accepted_total") >= 3, lambda: server.output)
    assert headgate.metric("headgate_backend_up", backend="app") == 1, headgate.output
    assert not headgate.log_with(message="server is down")
    if "client_auth" not in strict:
        with connect(headgate.port(), sni="app.test") as client:
            client.exchange(b"end to end")


def test_a_server_behind_a_passthrough_that_speaks_no_tls_is_down(start, backend, certificate):
    headgate = checked_passthrough(start, backend(lambda connection: connection.sendall(b"220 hello\r\n")).address, certificate)
    wait_until(lambda: headgate.metric("headgate_backend_up", backend="app") == 0, lambda: headgate.output)


@pytest.fixture
def router(start, backend, authority, certificate):
    """A router by name, without tls and certificates: a.test goes to one TLS server, every other client to another."""
    theirs = authority.issue("a.test")
    one = start(proxy(backend(greeting_then_echo(b"a")).address, theirs))
    rest = start(proxy(backend(greeting_then_echo(b"r")).address, certificate))
    config = plain_proxy(one.address())
    listener = config["listeners"][0]
    del listener["backend"]
    listener["routes"] = [
        {"sni": "a.test", "passthrough": True, "backend": "app"},
        {"sni": "*", "passthrough": True, "backend": "rest"},
    ]
    config["backends"]["rest"] = {"servers": [rest.address()]}
    headgate = start(config)
    headgate.certificates = {"a": theirs.x509, "r": certificate.x509}
    return headgate


@pytest.mark.parametrize(
    "sni, greeting", [("a.test", "a"), ("other.test", "r"), ("x.y.other.test", "r"), (None, "r")], ids=str
)
def test_a_router_by_name_needs_no_certificate_and_has_a_default(router, sni, greeting):
    with connect(router.port(), sni=sni) as client:
        assert client.certificate() == router.certificates[greeting]
        assert client.recv_exactly(1) == greeting.encode()
        client.exchange(b"end to end")


@pytest.mark.parametrize("hello", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"EHLO a\r\n"])
def test_a_router_by_name_refuses_a_client_without_a_client_hello(router, hello):
    with TlsClient(router.port()) as client:
        client.socket.sendall(hello)
        client.wait_transport_end()
    router.wait_metric("headgate_connections_closed_total", side="client")


def test_a_router_by_name_without_a_default_refuses_other_names_and_lives_on(start, backend, certificate):
    """There is no certificate for a handshake."""
    server = start(proxy(backend().address, certificate))
    config = plain_proxy(server.address())
    del config["listeners"][0]["backend"]
    config["listeners"][0]["routes"] = [{"sni": "app.test", "passthrough": True, "backend": "app"}]
    headgate = start(config)
    for name in ("other.test", None):
        assert handshake_alert(headgate.port(), sni=name) != "no alert"
    headgate.wait_metric("headgate_handshake_failures_total", 2, reason="unknown_name")
    with connect(headgate.port(), sni="app.test") as client:
        client.exchange(b"end to end")


def test_check_of_a_router_by_name_says_nothing(router, tmp_path):
    file = tmp_path / "router.yaml"
    file.write_text(
        "listeners:\n  - {bind: ':8443', routes: [{sni: '*', passthrough: on, backend: b}]}\nbackends: {b: {servers: '127.0.0.1:1'}}\n"
    )
    told = run(headgate_binary(), "check", file)
    assert (told.returncode, told.stdout) == (0, f"{file}: ok\n")


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
