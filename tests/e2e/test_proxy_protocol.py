"""The PROXY protocol, read from a load balancer in front and written to the backend."""

import json
import socket

import pytest
from cryptography.hazmat.primitives import serialization

from harness.backends import recording
from harness.config import plain_proxy, proxy
from harness.proxy_header import (
    ALPN,
    AUTHORITY,
    CRC32C,
    SIGNATURE,
    SSL_CIPHER,
    SSL_CLIENT_CERT,
    SSL_CN,
    SSL_GROUP,
    SSL_KEY_ALG,
    SSL_SIG_ALG,
    SSL_SIG_SCHEME,
    SSL_VERSION,
    UNIQUE_ID,
    Version2,
    version1,
    version2,
)
from harness.servers import short_directory
from harness.tls_client import TLS12, TLS13, TlsClient, connect, python_context, raw_socket, read_to_end, visit
from harness.waiting import wait_until

FROM_HERE = {"proxy_protocol": {"from": ["127.0.0.0/8"]}}

HEADERS = pytest.mark.parametrize(
    "header", [version1(), version2(), version2("2001:db8::7", "2001:db8::8")], ids=["v1", "v2", "v2-ipv6"]
)


def with_header(port, header, **options):
    """A TLS client behind a load balancer that sends `header`."""
    client = TlsClient(port, **options)
    client.socket.sendall(header)
    return client.handshake()


@HEADERS
def test_the_source_of_a_header_is_the_source_in_the_log(start, backend, certificate, header):
    headgate = start(proxy(backend().address, certificate, listener=FROM_HERE))
    with with_header(headgate.port(), header) as client:
        client.exchange(b"x")
        client.end_writing()
        client.recv_to_end()
    wait_until(lambda: "2001:db8::7" in headgate.output or "192.0.2.7" in headgate.output, lambda: headgate.output)


@HEADERS
def test_a_header_split_at_every_byte_is_understood(start, backend, certificate, header):
    headgate = start(proxy(backend().address, certificate, listener=FROM_HERE))
    with TlsClient(headgate.port()) as client:
        for value in header:
            client.socket.sendall(bytes([value]))
        client.handshake()
        client.exchange(b"x")


@HEADERS
def test_header_and_client_hello_may_share_a_segment(start, backend, certificate, header):
    headgate = start(proxy(backend().address, certificate, listener=FROM_HERE))
    with TlsClient(headgate.port()) as client:
        client.socket.sendall(header + client.client_hello())
        client.handshake()
        client.exchange(b"x")


def test_a_trusted_source_without_a_header_is_refused(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener=FROM_HERE))
    with TlsClient(headgate.port()) as client:
        client.socket.sendall(client.client_hello())
        client.wait_transport_end()
    headgate.wait_metric("headgate_connections_closed_total", reason="proxy_header_malformed")


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "[::]:0"])
def test_a_source_of_ipv4_is_not_trusted_by_a_network_of_ipv6(start, backend, certificate, bind):
    listener = {"bind": bind, "proxy_protocol": {"from": ["::/0"]}}
    headgate = start(proxy(backend().address, certificate, listener=listener))
    with raw_socket(headgate.port()) as client:
        client.sendall(version2())
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="not_tls")


@pytest.mark.parametrize("source", ["192.0.2.7", "::ffff:192.0.2.7"])
def test_a_source_of_ipv4_is_in_no_list_of_ipv6(start, backend, certificate, source):
    headgate = start(proxy(backend().address, certificate, listener={**FROM_HERE, "allow": ["::/0"]}))
    with raw_socket(headgate.port()) as client:
        client.sendall(version2(source, "::1" if ":" in source else "192.0.2.8"))
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="source_denied")


def test_a_source_that_is_not_trusted_may_not_send_a_header(start, backend, certificate):
    listener = {"proxy_protocol": {"from": ["192.0.2.0/24"]}}
    headgate = start(proxy(backend().address, certificate, listener=listener))
    with raw_socket(headgate.port()) as client:
        client.sendall(version1())
        read_to_end(client)
    with connect(headgate.port()) as client:
        client.exchange(b"without a header")


@pytest.mark.parametrize(
    "header",
    [b"PROXY NONSENSE\r\n", SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12), b"PROXY TCP4 1.2.3.4 " + b"5" * 200],
    ids=["v1", "v2-version", "v1-endless"],
)
def test_a_malformed_header_ends_the_connection(start, backend, certificate, header):
    headgate = start(proxy(backend().address, certificate, listener=FROM_HERE))
    with raw_socket(headgate.port()) as client:
        client.sendall(header)
        assert read_to_end(client) == b""
    headgate.wait_metric("headgate_connections_closed_total", reason="proxy_header_malformed")


def source_in(headgate):
    """The source of the one connection that the admin endpoint shows."""
    (connection,) = json.loads(headgate.get("/connections.json")[1])["connections"]
    return connection["source"]


def received_by(start, backend, exchange, config):
    """The bytes that the backend got from one client, which sends `data`. The header may come in a piece of its own."""
    received = bytearray()
    one = backend(recording(received, answer=b"."))
    headgate = start(config(one.address))
    exchange(headgate)
    wait_until(lambda: received.endswith(b"data"), lambda: f"the backend gets the client's bytes: {bytes(received)}")
    return bytes(received)


def test_version_1_tells_the_backend_the_clients_address(start, backend, certificate):
    ports = {}

    def exchange(headgate):
        with connect(headgate.port()) as client:
            ports.update(source=client.socket.getsockname()[1], destination=headgate.port())
            client.send(b"data")
            client.recv_exactly(1)
            client.end_writing()
            client.recv_to_end()

    received = received_by(
        start, backend, exchange, lambda address: proxy(address, certificate, app={"send_proxy": "v1"})
    )
    header = f"PROXY TCP4 127.0.0.1 127.0.0.1 {ports['source']} {ports['destination']}\r\n"
    assert received == header.encode() + b"data"


def test_version_2_tells_the_backend_about_the_clients_tls(start, backend, certificate):
    ports = {}

    def exchange(headgate):
        with connect(headgate.port(), sni="app.test", alpn=["h2"]) as client:
            ports.update(source=client.socket.getsockname()[1], destination=headgate.port())
            client.send(b"data")
            client.recv_exactly(1)
            client.end_writing()
            client.recv_to_end()

    received = received_by(
        start,
        backend,
        exchange,
        lambda address: proxy(address, certificate, tls={"alpn": ["h2"]}, app={"send_proxy": "v2"}),
    )
    header = Version2(received)
    assert received[header.size :] == b"data"
    assert (header.source, header.source_port) == ("127.0.0.1", ports["source"])
    assert (header.destination, header.destination_port) == ("127.0.0.1", ports["destination"])
    assert header.tlvs[ALPN] == b"h2"
    assert header.tlvs[AUTHORITY] == b"app.test"
    assert header.ssl["client"] & 1
    assert header.ssl[SSL_VERSION] == b"TLSv1.3"
    assert header.crc32c_is_right()


def a_client_on_a_unix_socket(start, backend, certificate, version):
    """The path of the socket, and the bytes that the backend got from the client."""
    path = short_directory() / "in.sock"

    def exchange(headgate):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(str(path))
        with TlsClient(0, connected=connection).handshake() as client:
            client.send(b"data")
            client.recv_exactly(1)
            assert source_in(headgate) == "unix:"

    listener = {"bind": f"unix:{path}"}
    received = received_by(
        start,
        backend,
        exchange,
        lambda address: proxy(address, certificate, listener=listener, app={"send_proxy": version}),
    )
    return path, received


def test_version_1_says_unknown_for_a_client_on_a_unix_socket(start, backend, certificate):
    _, received = a_client_on_a_unix_socket(start, backend, certificate, "v1")
    assert received == b"PROXY UNKNOWN\r\ndata"


def test_version_2_names_the_path_that_a_client_on_a_unix_socket_connected_to(start, backend, certificate):
    path, received = a_client_on_a_unix_socket(start, backend, certificate, "v2")
    header = Version2(received)
    assert received[header.size :] == b"data"
    assert header.source == bytes(108)
    assert header.destination == str(path).encode().ljust(108, b"\0")
    assert header.tlvs[AUTHORITY] == b"app.test"
    assert header.ssl[SSL_VERSION] == b"TLSv1.3"
    assert header.crc32c_is_right()


def test_a_version_2_header_without_addresses_keeps_those_of_the_connection(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener=FROM_HERE))
    wrong_crc32c = bytes([CRC32C, 0, 4]) + bytes(4)
    with with_header(headgate.port(), SIGNATURE + b"\x21\x00\x00\x07" + wrong_crc32c) as client:
        client.exchange(b"x")
        port = client.socket.getsockname()[1]
        assert source_in(headgate) == f"127.0.0.1:{port}"


def test_version_2_names_the_clients_certificate(start, backend, certificate, authority):
    ours = authority.issue(client=True, common_name="alice")

    def exchange(headgate):
        with connect(headgate.port(), certificate=ours) as client:
            client.send(b"data")
            client.recv_exactly(1)

    tls = {"client_auth": {"mode": "required", "ca": str(authority.file)}}
    received = received_by(
        start, backend, exchange, lambda address: proxy(address, certificate, tls=tls, app={"send_proxy": "v2"})
    )
    ssl = Version2(received).ssl
    assert ssl["client"] & 2 and ssl["verify"] == 0
    assert ssl[SSL_CN] == b"alice"


def of_one_client(start, backend, served, tls=None, app=None, **options):
    """The header that the backend got for one client, and the id of the connection."""
    ids = []

    def exchange(headgate):
        with connect(headgate.port(), **options) as client:
            client.send(b"data")
            client.recv_exactly(1)
            (connection,) = json.loads(headgate.get("/connections.json")[1])["connections"]
            ids.append(connection["id"])

    app = {"send_proxy": "v2", **(app or {})}
    received = received_by(start, backend, exchange, lambda address: proxy(address, served, tls=tls, app=app))
    return Version2(received), ids[0]


@pytest.mark.parametrize(
    "version, key, expected",
    [
        (TLS13, "certificate", (b"TLS_AES_256_GCM_SHA384", b"EC256", b"ecdsa_secp256r1_sha256")),
        (TLS12, "certificate", (b"ECDHE-ECDSA-AES128-GCM-SHA256", b"EC256", b"ecdsa_secp256r1_sha256")),
        (TLS13, "rsa_certificate", (b"TLS_AES_256_GCM_SHA384", b"RSA2048", b"rsa_pss_rsae_sha256")),
        (TLS12, "rsa_certificate", (b"ECDHE-RSA-AES128-GCM-SHA256", b"RSA2048", b"rsa_pss_rsae_sha256")),
    ],
    ids=["tls13-ecdsa", "tls12-ecdsa", "tls13-rsa", "tls12-rsa"],
)
def test_version_2_has_the_names_that_the_specification_gives(start, backend, request, version, key, expected):
    tls = {"groups": ["P-256"], "cipher_suites": ["TLS_AES_256_GCM_SHA384"]}
    header, _ = of_one_client(start, backend, request.getfixturevalue(key), tls, version=version)
    ssl = header.ssl
    assert (ssl[SSL_CIPHER], ssl[SSL_KEY_ALG], ssl[SSL_SIG_SCHEME]) == expected
    assert ssl[SSL_GROUP] == b"secp256r1"
    assert ssl[SSL_SIG_ALG] == b"ecdsa-with-SHA256"  # the authority's
    assert SSL_CLIENT_CERT not in ssl
    assert header.crc32c_is_right()


def test_version_2_names_the_connection_as_the_log_does(start, backend, certificate):
    header, number = of_one_client(start, backend, certificate)
    process, _, connection = header.tlvs[UNIQUE_ID].partition(b"-")
    assert len(process) == 16
    assert connection == str(number).encode()


CLIENT_CERTIFICATE = {"send_proxy": "v2", "send_client_certificate": True}


@pytest.mark.parametrize("layer", ["auto", "openssl"])
@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
def test_version_2_carries_the_clients_certificate(start, backend, certificate, authority, version, layer):
    ours = authority.issue(client=True, common_name="alice")
    tls = {"client_auth": {"mode": "optional", "ca": str(authority.file)}, "record_layer": layer}
    header, _ = of_one_client(
        start, backend, certificate, tls, CLIENT_CERTIFICATE, certificate=ours, version=version
    )
    assert header.ssl[SSL_CLIENT_CERT] == ours.x509.public_bytes(serialization.Encoding.DER)
    assert header.ssl[SSL_CN] == b"alice"
    assert header.crc32c_is_right()


def test_version_2_carries_no_certificate_of_a_client_without_one(start, backend, certificate, authority):
    tls = {"client_auth": {"mode": "optional", "ca": str(authority.file)}}
    header, _ = of_one_client(start, backend, certificate, tls, CLIENT_CERTIFICATE)
    assert SSL_CLIENT_CERT not in header.ssl
    assert header.ssl["verify"] != 0


def test_version_2_carries_the_clients_certificate_on_a_resumed_session(start, backend, certificate, authority):
    """It comes from the ticket: the client sends none."""
    ours = authority.issue(client=True, common_name="alice")
    headers = []

    def first_bytes(connection):
        received = b""
        while len(received) < 16 or len(received) < 16 + int.from_bytes(received[14:16], "big") + 1:
            received += connection.recv(65536)
        headers.append(Version2(received))
        connection.sendall(b"x")
        connection.recv(100)

    one = backend(first_bytes)
    tls = {"client_auth": {"mode": "required", "ca": str(authority.file)}}
    headgate = start(proxy(one.address, certificate, tls=tls, app=CLIENT_CERTIFICATE))
    context = python_context(certificate=ours)
    _, session = visit(headgate.port(), context)
    resumed, _ = visit(headgate.port(), context, session=session)
    assert resumed
    der = ours.x509.public_bytes(serialization.Encoding.DER)
    assert [header.ssl[SSL_CLIENT_CERT] for header in headers] == [der, der]
    assert SSL_SIG_SCHEME in headers[0].ssl and SSL_SIG_SCHEME not in headers[1].ssl


@HEADERS
def test_the_source_of_a_header_is_passed_on_to_the_backend(start, backend, header):
    def exchange(headgate):
        with raw_socket(headgate.port()) as client:
            client.sendall(header + b"data")
            client.recv(1)

    received = received_by(
        start, backend, exchange, lambda address: plain_proxy(address, listener=FROM_HERE, app={"send_proxy": "v2"})
    )
    assert Version2(received).source in ("192.0.2.7", "2001:db8::7")
    assert Version2(received).source_port == 5555
