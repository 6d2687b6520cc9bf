"""The PROXY protocol, read from a load balancer in front and written to the backend."""

import json
import socket

import pytest

from harness.backends import recording
from harness.config import plain_proxy, proxy
from harness.proxy_header import ALPN, AUTHORITY, CRC32C, SIGNATURE, SSL_CN, SSL_VERSION, Version2, version1, version2
from harness.servers import short_directory
from harness.tls_client import TlsClient, connect, raw_socket, read_to_end
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
    """The bytes that the backend got from one client."""
    received = bytearray()
    one = backend(recording(received, answer=b"."))
    headgate = start(config(one.address))
    exchange(headgate)
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
    """The bytes that the backend got from it."""
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
    return received_by(
        start,
        backend,
        exchange,
        lambda address: proxy(address, certificate, listener=listener, app={"send_proxy": version}),
    )


def test_version_1_says_unknown_for_a_client_on_a_unix_socket(start, backend, certificate):
    received = a_client_on_a_unix_socket(start, backend, certificate, "v1")
    assert received == b"PROXY UNKNOWN\r\ndata"


def test_version_2_names_no_address_of_a_client_on_a_unix_socket(start, backend, certificate):
    received = a_client_on_a_unix_socket(start, backend, certificate, "v2")
    header = Version2(received)
    assert received[header.size :] == b"data"
    assert header.source is None
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
