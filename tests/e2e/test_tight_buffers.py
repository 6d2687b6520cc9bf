"""Handshakes whose flights are larger than what the sockets take at once: each side goes on as the other reads."""

import datetime
import socket

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from harness.authority import DAY
from harness.config import proxy
from harness.tls_client import TLS12, TLS13, TlsClient, connect
from harness.waiting import DEADLINE_SECONDS

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])

AUTHORITIES = 400
# The names of so many authorities make a CertificateRequest of some 57 KB. With segments this small the kernel's buffer for
# sending takes less than that, as long as the client reads nothing.
SEGMENT_BYTES = [88, 536]
RECEIVE_BUFFER_BYTES = 4096


@pytest.fixture(scope="module")
def many_authorities(authority, tmp_path_factory):
    """A file of `authority` and 400 others with long names."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    pem = authority.file.read_bytes()
    for number in range(AUTHORITIES):
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "An organisation with a long name ".ljust(60, "o")),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Certificate authority {number} ".ljust(60, "c")),
            ]
        )
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(1 + number).not_valid_before(now - DAY).not_valid_after(now + 90 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        pem += builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    file = tmp_path_factory.mktemp("authorities") / "many.pem"
    file.write_bytes(pem)
    return file


@pytest.fixture
def asking(start, backend, certificate, many_authorities):
    """Headgate before an echo, with a CertificateRequest of some 57 KB."""
    client_auth = {"mode": "required", "ca": str(many_authorities)}
    return start(proxy(backend().address, certificate, tls={"client_auth": client_auth}))


def tight_socket(port, segment_bytes):
    """A connection that takes small segments, and few of them at once."""
    connection = socket.socket()
    connection.settimeout(DEADLINE_SECONDS)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment_bytes)
    connection.connect(("127.0.0.1", port))
    return connection


def handshake_in_sips(client, sip_bytes):
    """Does the handshake, with `sip_bytes` taken from the socket at once; returns how many bytes came."""
    taken = 0
    while True:
        try:
            client.tls.do_handshake()
            client.send_produced()
            return taken
        except SSL.WantReadError:
            client.send_produced()
            chunk = client.socket.recv(sip_bytes)
            assert chunk, f"the connection ended in the handshake, after {taken} bytes"
            client.tls.bio_write(chunk)
            taken += len(chunk)


@VERSIONS
@pytest.mark.parametrize("segment_bytes", SEGMENT_BYTES)
def test_a_flight_larger_than_the_send_buffer_reaches_a_client_that_reads_slowly(
    asking, authority, version, segment_bytes
):
    pair = authority.issue(client=True)
    slow = tight_socket(asking.port(), segment_bytes)
    with TlsClient(asking.port(), version=version, certificate=pair, connected=slow) as client:
        assert handshake_in_sips(client, 100) > 55_000, "the flight fits into any buffer, so nothing was shown"
        client.exchange(b"through the eye of a needle")
    asking.wait_metric("headgate_handshakes_total", result="ok")


@VERSIONS
def test_clients_that_take_their_flight_slowly_do_not_hold_up_others(asking, authority, version):
    pair = authority.issue(client=True)
    slow = tight_socket(asking.port(), SEGMENT_BYTES[0])
    with TlsClient(asking.port(), version=version, certificate=pair, connected=slow) as client:
        client.socket.sendall(client.client_hello())
        with connect(asking.port(), version=version, certificate=pair) as quick:
            quick.exchange(b"not held up")
        handshake_in_sips(client, 1000)
        client.exchange(b"served as well")


@VERSIONS
def test_a_client_that_leaves_in_the_middle_of_a_flight_is_counted_as_having_left(asking, version):
    slow = tight_socket(asking.port(), SEGMENT_BYTES[0])
    with TlsClient(asking.port(), version=version, connected=slow) as client:
        client.socket.sendall(client.client_hello())
        client.socket.recv(1)
        client.reset()
    asking.wait_metric("headgate_handshake_failures_total", reason="client_left")
    asking.wait_metric("headgate_connections_active", 0)
