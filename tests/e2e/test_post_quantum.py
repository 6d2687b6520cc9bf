"""X25519MLKEM768 between Headgate and the OpenSSL that both it and the clients have."""

import re
import struct

import pytest

from harness.config import plain_proxy, proxy
from harness.dialogue import Dialogue
from harness.headgate import Headgate
from harness.kernel import listening_ports
from harness.tls_client import TlsClient, between_bytes, connect, hello_in_two_parts, raw_socket
from harness.tools import openssl_version, run, tool
from harness.waiting import wait_until

HYBRID = "X25519MLKEM768"
KEY_SHARE_EXTENSION = 51
HANDSHAKE_FAILURE = "40"

pytestmark = pytest.mark.skipif(
    openssl_version() < (3, 5), reason="OpenSSL has X25519MLKEM768 from 3.5 on; this machine's is older"
)


@pytest.fixture
def hybrid_only(start, backend, certificate):
    """Headgate before an echo, with X25519MLKEM768 as its only group and time for slow machines."""
    patience = {"timeouts": {"handshake": "2m"}, "limits": {"hello_bytes_per_second": 0}}
    return start(proxy(backend().address, certificate, tls={"groups": [HYBRID]}, listener=patience))


def key_shares(hello):
    """The groups for which a ClientHello in one record has shares. RFC 8446, sections 4.1.2 and 4.2.8."""

    def number(place):
        return struct.unpack_from(">H", hello, place)[0]

    place = 5 + 4 + 2 + 32  # behind the record's header, the message's header, the version and the random
    place += 1 + hello[place]  # the session id
    place += 2 + number(place)  # the cipher suites
    place += 1 + hello[place]  # the compression methods
    place += 2
    while number(place) != KEY_SHARE_EXTENSION:
        place += 4 + number(place + 2)
    end = place + 4 + number(place + 2)
    place += 6
    groups = []
    while place < end:
        groups.append(number(place))
        place += 4 + number(place + 2)
    return groups


def s_client(headgate, *options):
    argv = [tool("openssl"), "s_client", "-connect", headgate.address(), "-servername", "app.test", *options]
    return Dialogue(*argv)


def test_a_client_of_openssl_agrees_on_it_of_its_own_accord(echo_proxy):
    with s_client(echo_proxy) as client:
        client.expect(f"Negotiated TLS1.3 group: {HYBRID}")
        client.say("over and back\n")
        client.expect("over and back")
    metrics = echo_proxy.metrics()
    assert metrics.value("headgate_handshakes_negotiated_total", group=HYBRID, version="TLSv1.3") == 1
    assert metrics.value("headgate_record_layer_connections_total", layer="headgate") == 1
    assert metrics.value("headgate_hello_retry_requests_total") == 0


def test_a_client_with_two_shares_resumes_over_it(echo_proxy, tmp_path):
    session = tmp_path / "session.pem"
    with s_client(echo_proxy, "-sess_out", session) as client:
        client.expect("Verify return code")
        client.say("first\n")
        client.expect("first")
        wait_until(session.exists, "a ticket came")
    with s_client(echo_proxy, "-sess_in", session) as client:
        client.expect("Reused, TLSv1.3")
        client.expect(f"Negotiated TLS1.3 group: {HYBRID}")
    echo_proxy.wait_metric("headgate_handshakes_negotiated_total", 2, group=HYBRID)


def test_it_is_the_first_choice_among_shares_of_several_groups(echo_proxy):
    with s_client(echo_proxy, "-groups", f"*X25519:*P-256:*{HYBRID}") as client:
        client.expect(f"Negotiated TLS1.3 group: {HYBRID}")
    echo_proxy.wait_metric("headgate_handshakes_negotiated_total", group=HYBRID)
    assert echo_proxy.metric("headgate_hello_retry_requests_total") == 0


def test_a_client_whose_only_share_is_of_another_common_group_is_not_asked_again(echo_proxy):
    """A round trip would cost the client more than the listener's order of preference gains."""
    with s_client(echo_proxy, "-groups", f"*X25519:{HYBRID}") as client:
        client.expect("Verify return code")
        assert re.search(r"(Temp Key|group): X25519\b", client.heard), client.heard
    echo_proxy.wait_metric("headgate_handshakes_negotiated_total", group="x25519")
    assert echo_proxy.metric("headgate_hello_retry_requests_total") == 0


def test_a_hello_retry_request_asks_for_it_and_is_counted(hybrid_only):
    with s_client(hybrid_only, "-groups", f"*X25519:{HYBRID}") as client:
        client.expect(f"Negotiated TLS1.3 group: {HYBRID}")
        client.say("second try\n")
        client.expect("second try")
    assert hybrid_only.metric("headgate_hello_retry_requests_total", listener="web") == 1
    with s_client(hybrid_only) as client:
        client.expect(f"Negotiated TLS1.3 group: {HYBRID}")
    hybrid_only.wait_metric("headgate_handshakes_negotiated_total", 2, group=HYBRID)
    assert hybrid_only.metric("headgate_hello_retry_requests_total", listener="web") == 1


@pytest.mark.parametrize("options", [["-groups", "X25519:P-256:P-384"], ["-groups", "MLKEM768"], ["-tls1_2"]])
def test_a_listener_of_it_alone_refuses_the_rest_by_name(hybrid_only, options):
    with s_client(hybrid_only, *options) as client:
        assert client.expect_end() != 0
        assert f"SSL alert number {HANDSHAKE_FAILURE}" in client.heard
    hybrid_only.wait_metric("headgate_handshake_failures_total", reason="no_shared_group")
    hybrid_only.wait_metric("headgate_connections_closed_total", reason="handshake_failed", side="client")
    with connect(hybrid_only.port()) as client:
        client.exchange(b"not this one")


def test_the_policy_of_it_alone_counts_who_would_be_refused(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, tls={"dry_run": ["pq_only"]}))
    with s_client(headgate) as client:
        client.expect("Verify return code")
    headgate.wait_metric("headgate_handshakes_total", result="ok")
    assert headgate.metric("headgate_handshakes_would_refuse_total", policy="pq_only") == 0
    with s_client(headgate, "-groups", "X25519") as client:
        client.expect("Verify return code")
    headgate.wait_metric("headgate_handshakes_would_refuse_total", policy="pq_only")


def test_the_two_shares_of_openssls_own_client_hello_are_there_to_be_cut(echo_proxy):
    with TlsClient(echo_proxy.port()) as client:
        hello = client.client_hello()
    assert key_shares(hello) == [0x11EC, 0x001D]
    assert 1200 < len(hello) < 1800


def test_a_client_hello_with_two_shares_split_at_every_byte_is_understood(hybrid_only):
    hello_in_two_parts(hybrid_only.port(), between_bytes)
    metrics = hybrid_only.metrics()
    assert metrics.value("headgate_handshakes_negotiated_total", group=HYBRID) > 1200
    assert metrics.value("headgate_handshake_failures_total", reason="no_shared_group") == 0
    assert metrics.value("headgate_hello_retry_requests_total") == 0


def test_a_backend_of_it_alone_is_reached(start, certificate, authority):
    argv = ["s_server", "-accept", "127.0.0.1:0", "-groups", HYBRID, "-tls1_3", "-rev", "-quiet"]
    with Dialogue(tool("openssl"), *argv, "-cert", certificate.certificate, "-key", certificate.key) as server:
        (port,) = wait_until(lambda: listening_ports(server.pid), lambda: server.heard)
        app = {"tls": {"ca": str(authority.file), "server_name": "app.test"}}
        headgate = start(plain_proxy(f"127.0.0.1:{port}", app=app))
        with raw_socket(headgate.port()) as client:
            client.sendall(b"reversed\n")
            assert client.recv(100) == b"desrever\n"
