"""The first flight of a client, well-formed and not: Headgate takes what OpenSSL's own server takes, and refuses the rest
with the alert that the RFCs name. A case that differs from OpenSSL says so, and why.
"""

import contextlib
import json
import os
import ssl
from collections import Counter

import pytest

from harness.client_hello import ClientHello, extension, numbers, sized
from harness.config import proxy
from harness.servers import Server, short_directory
from harness.tls_client import alerts_in, raw_socket, read_to_end
from harness.tools import is_on_awslc, openssl_version, tool
from harness.waiting import wait_until

HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC, APPLICATION_DATA, HEARTBEAT, UNASSIGNED = 22, 21, 20, 23, 24, 25
TAKEN, SILENCE = "taken", "silence"  # a ServerHello; an end without an alert
ALERTS = {
    10: "unexpected_message",
    22: "record_overflow",
    47: "illegal_parameter",
    50: "decode_error",
    70: "protocol_version",
    112: "unrecognized_name",
}

X25519_SHARE = (29).to_bytes(2, "big") + sized(2, os.urandom(32))
SERVER_NAME = extension(0, sized(2, b"\0" + sized(2, b"app.test")))
ALGORITHMS = extension(10, numbers(29, 23)) + extension(13, numbers(0x0403, 0x0804, 0x0401))
VERSIONS = extension(43, sized(1, b"\3\4"))
SHARE = extension(51, sized(2, X25519_SHARE))
COMMON = SERVER_NAME + ALGORITHMS + VERSIONS + SHARE


def record(content, kind=HANDSHAKE, version=b"\3\1"):
    return bytes([kind]) + version + sized(2, content)


def hello(extensions=COMMON, suites=numbers(0x1301), session=b"\0", compression=b"\1\0", tail=b"", version=b"\3\3"):
    """A ClientHello message."""
    body = version + os.urandom(32) + session + suites + compression + sized(2, extensions) + tail
    return b"\1" + sized(3, body)


def tls12_hello():
    return hello(SERVER_NAME + ALGORITHMS + extension(11, b"\1\0"), numbers(0xC02B, 0xC02F))


def in_records(message, size=16384):
    return b"".join(record(message[place : place + size]) for place in range(0, len(message), size))


def around(middle, place=50):
    """A ClientHello in two records with `middle` between them."""
    message = hello()
    return record(message[:place]) + middle + record(message[place:])


def with_server_name(content):
    return record(hello(extension(0, content) + ALGORITHMS + VERSIONS + SHARE))


def with_both(kind, content, rest=COMMON):
    """A ClientHello with the same extension twice."""
    return record(hello(rest + extension(kind, content) * 2))


def longest_hello():
    """A ClientHello whose vectors are all but full."""
    suites = b"\x13\x01" + b"\x5a\x5a" * 32766
    padding = extension(21, bytes(65535 - len(COMMON) - 4))
    return hello(COMMON + padding, sized(2, suites), session=sized(1, os.urandom(32)))


def ssl2_hello(version):
    """RFC 5246, appendix E.2."""
    body = b"\1" + version + (6).to_bytes(2, "big") + b"\0\0" + b"\0\x10" + b"\0\xc0\x2b\0\xc0\x2f" + os.urandom(16)
    return bytes([0x80, len(body)]) + body


# Name of the case: (the bytes, what Headgate answers, what OpenSSL answers where that differs).
CASES = {
    "a TLS 1.3 hello": (record(hello()), TAKEN),
    "a TLS 1.2 hello": (record(tls12_hello()), TAKEN),
    # Records: RFC 8446, section 5.1.
    "a record over 2^14": (record(b"\1" + bytes(16384)), 22),
    "a record of 65535": (b"\x16\3\1\xff\xff", 22),
    "a second record over 2^14": (record(hello()[:50]) + record(bytes(16385)), 22),
    "a ChangeCipherSpec first": (record(b"\1", CHANGE_CIPHER_SPEC) + record(hello()), 10),
    "application data first": (record(b"x", APPLICATION_DATA), 10),
    "a heartbeat first": (record(b"\1", HEARTBEAT), 10),
    "an unassigned type first": (record(b"\1", UNASSIGNED), 10),
    "a ChangeCipherSpec amid": (around(record(b"\1", CHANGE_CIPHER_SPEC)), 10),
    "a ChangeCipherSpec amid the header": (around(record(b"\1", CHANGE_CIPHER_SPEC), 2), 10),
    "application data amid": (around(record(b"x", APPLICATION_DATA)), 10),
    "a heartbeat amid": (around(record(b"\1", HEARTBEAT)), 10),
    "an unassigned type amid": (around(record(b"\1", UNASSIGNED)), 10),
    # No fragment of a handshake message may be empty: RFC 8446, section 5.1. OpenSSL passes over 32 of them.
    "an empty record first": (record(b"") + record(hello()), 10, TAKEN),
    "an empty record amid": (around(record(b"")), 10, TAKEN),
    "33 empty records": (record(b"") * 33 + record(hello()), 10),
    **{f"record version {v.hex()}": (record(hello(), version=v), TAKEN) for v in (b"\3\0", b"\3\1", b"\3\3", b"\3\4")},
    "another version in the second record": (record(hello()[:9]) + record(b"x", version=b"\2\0"), 70),
    "records of one byte": (in_records(hello(), 1), TAKEN),
    # An alert in place of a hello ends a connection without another alert: RFC 8446, section 6.2. OpenSSL answers it.
    **{
        f"alert {alert.hex()} {where}": (bytes_, SILENCE, 10)
        for alert in (b"\1\0", b"\1\x5a", b"\2\x28", b"\2\x50")
        for where, bytes_ in (("first", record(alert, ALERT)), ("amid", around(record(alert, ALERT))))
    },
    "an alert of one byte": (record(b"\2", ALERT), 10),
    "an empty alert": (record(b"", ALERT), 10),
    "an alert of three bytes": (record(b"\2\x28\0", ALERT), 10),
    # Other messages: RFC 8446, section 4.
    **{f"message {kind} first": (record(bytes([kind, 0, 0, 0])), 10) for kind in (0, 2, 4, 11, 16, 20, 24, 254)},
    "a HelloRequest before the hello": (record(bytes(4)) + record(hello()), 10),
    "data behind a TLS 1.3 hello": (record(hello() + b"QUIT\r\n"), 10),
    "a hello behind a TLS 1.3 hello": (record(hello() + hello()), 10),
    "one byte behind a TLS 1.3 hello": (record(hello() + b"\1"), 10),
    # OpenSSL would take these bytes for the next message, as TLS 1.2 allows. No client can know what follows.
    "data behind a TLS 1.2 hello": (record(tls12_hello() + b"QUIT\r\n"), 10, TAKEN),
    # RFC 8446, appendix D.5: a server had better not read it. OpenSSL reads it, and finds no common cipher.
    "an SSL 2.0 hello for TLS 1.2": (ssl2_hello(b"\3\3"), 70, 40),
    "an SSL 2.0 hello for SSL 2.0": (ssl2_hello(b"\0\2"), 70),
    # Sizes.
    "a hello that announces too much": (record(b"\1" + (131_397).to_bytes(3, "big")), 47),
    "a hello of 131,000 bytes": (in_records(longest_hello()), TAKEN),
    "a hello of 131,000 bytes in small records": (in_records(longest_hello(), 50), TAKEN),
    "300 unknown extensions": (record(hello(COMMON + b"".join(extension(9000 + i, b"") for i in range(300)))), TAKEN),
    "16,000 unknown extensions": (
        in_records(hello(COMMON + b"".join(extension(9000 + i, b"") for i in range(16_000)))),
        TAKEN,
    ),
    # The message itself: RFC 8446, section 4.1.2.
    "an empty hello": (record(b"\1\0\0\0"), 50),
    "half a random": (record(b"\1" + sized(3, b"\3\3" + bytes(10))), 50),
    "a session id of 33 bytes": (record(hello(session=sized(1, bytes(33)))), 50),
    "an odd list of ciphers": (record(hello(suites=b"\0\3\x13\1\x13")), 50),
    # A list that must not be empty: the syntax is wrong.
    "no ciphers": (record(hello(suites=b"\0\0")), 50, (47, 50)),  # OpenSSL 3.0 and 3.5
    "no compression methods": (record(hello(compression=b"\0")), 50),
    "two compression methods in TLS 1.3": (record(hello(compression=b"\2\1\0")), 47),
    "bytes behind the extensions": (record(hello(tail=b"x")), 50),
    "an extension over the end": (record(hello(COMMON + b"\0\x10\0\x09abc")), 50),
    "an old version": (record(hello(SERVER_NAME + ALGORITHMS, numbers(0xC02B), version=b"\2\0")), 70),
    # Extensions: RFC 8446, section 4.2.
    "an unknown extension twice": (with_both(7777, b""), TAKEN),
    "ALPN twice": (with_both(16, sized(2, sized(1, b"h2"))), 47),
    "the groups twice": (record(hello(COMMON + ALGORITHMS)), 47),
    "the key shares twice": (record(hello(COMMON + SHARE)), 47),
    "the versions twice": (record(hello(COMMON + VERSIONS)), 47),
    "the PSK modes twice": (with_both(45, b"\1\1"), 47),
    "early_data twice": (with_both(42, b""), 47),
    "max_fragment_length twice": (with_both(1, b"\1"), 47),
    "an empty server_name": (with_server_name(b""), 50),
    "an empty list of names": (with_server_name(b"\0\0"), 50),
    "a name with a zero byte": (with_server_name(sized(2, b"\0" + sized(2, b"a\0b"))), 112),
    "a name of 256 bytes": (with_server_name(sized(2, b"\0" + sized(2, b"a" * 256))), 112),
    "a name of 255 bytes": (with_server_name(sized(2, b"\0" + sized(2, b"a" * 255))), TAKEN),
    "two names": (with_server_name(sized(2, (b"\0" + sized(2, b"app.test")) * 2)), 50),
    # A list that must not be empty: RFC 6066, section 3.
    "an empty name": (with_server_name(sized(2, b"\0" + sized(2, b""))), 50, TAKEN),
    "an empty ALPN list": (record(hello(COMMON + extension(16, b"\0\0"))), 50),
    "an empty protocol": (record(hello(COMMON + extension(16, b"\0\1\0"))), 50),
    "an odd list of groups": (record(hello(extension(10, b"\0\3\0\x1d\0") + COMMON[len(SERVER_NAME) + 8 :])), 50),
    # Wrong syntax. OpenSSL says that it knows no such version.
    "an odd list of versions": (record(hello(SERVER_NAME + ALGORITHMS + extension(43, b"\3\3\4\3") + SHARE)), 50, 70),
    "an empty key share": (record(hello(SERVER_NAME + ALGORITHMS + VERSIONS + extension(51, b"\0\4\0\x1d\0\0"))), 50),
    "a short key share": (
        record(hello(SERVER_NAME + ALGORITHMS + VERSIONS + extension(51, sized(2, b"\0\x1d\0\x1f" + bytes(31))))),
        47,
    ),
    "no PSK modes": (record(hello(COMMON + extension(45, b"\0"))), 50),
    "early_data with content": (record(hello(COMMON + extension(42, b"x"))), 50),
    "a PSK that is not last": (
        record(hello(COMMON + extension(45, b"\1\1") + extension(41, sized(2, sized(2, b"id") + bytes(4))) + VERSIONS)),
        47,
    ),
}


@pytest.fixture(scope="module")
def openssl_port(rsa_certificate):
    """A plain OpenSSL server; `-www` keeps it from asking its standard input."""
    files = ["-cert", rsa_certificate.certificate, "-key", rsa_certificate.key]
    argv = [tool("openssl"), "s_server", "-accept", "127.0.0.1:0", *files, "-www", "-quiet"]
    with Server([*argv, "-min_protocol", "TLSv1.2"], short_directory()) as server:
        yield int(server.address.rpartition(":")[2])


def answer(port, wire):
    """TAKEN, SILENCE or the number of the fatal alert that answers `wire`."""
    with raw_socket(port) as client:
        try:
            client.sendall(wire)
        except OSError:
            pass  # refused before all was sent
        first = client.recv(6)
        if first[:1] == b"\x16":
            return TAKEN
        alerts = alerts_in(first + read_to_end(client))
    assert len(alerts) <= 1 and all(level == 2 for level, _ in alerts)
    return alerts[0][1] if alerts else SILENCE


def answers(port):
    return {case: answer(port, wire) for case, (wire, *_) in CASES.items()}


# AWS-LC takes no ClientHello of more than 16 KiB and no extension twice, not even one that it does not know.
ON_AWSLC = {
    "a hello of 131,000 bytes": 47,
    "a hello of 131,000 bytes in small records": 47,
    "16,000 unknown extensions": 47,
    "an unknown extension twice": 50,
    "max_fragment_length twice": 50,
}


def test_what_a_client_gets_wrong_is_no_fault_of_headgates(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    no_point = ClientHello()
    no_point.share(bytes(32))  # RFC 7748, section 6.1
    garbage = ClientHello().tls13() + b"\x17\3\3" + sized(2, bytes(64))
    wires = [no_point.tls13(), garbage]
    if openssl_version() >= (3, 5) or is_on_awslc():
        too_short, not_reduced = bytes(1183), b"\xff" * 1184  # FIPS 203, section 7.2
        # AWS-LC takes the latter for a fault of its own: docs/tls-library.md.
        for key in (too_short,) if is_on_awslc() else (too_short, not_reduced):
            share = (0x11EC).to_bytes(2, "big") + sized(2, key + os.urandom(32))
            groups = extension(10, numbers(0x11EC)) + extension(13, numbers(0x0403, 0x0804))
            wires.append(record(hello(SERVER_NAME + groups + VERSIONS + extension(51, sized(2, share)))))
    for sent, wire in enumerate(wires, 1):
        with raw_socket(headgate.port()) as client:
            client.sendall(wire)
            read_to_end(client)
        headgate.wait_metric("headgate_handshake_failures_total", sent, reason="protocol_error")
    assert headgate.metric("headgate_handshake_failures_total", reason="internal") == 0


def test_a_damaged_finished_message_is_no_fault_of_headgates(start, backend, certificate):
    """In TLS 1.2 it is the client's first protected record."""
    headgate = start(proxy(backend().address, certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(received, sent, server_hostname="app.test")
    with raw_socket(headgate.port()) as peer:

        def shake_hands():
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            return sent.read()

        peer.sendall(shake_hands())
        flight = b""
        while not flight:
            received.write(peer.recv(65536))
            flight = shake_hands()
        peer.sendall(flight[:-1] + bytes([flight[-1] ^ 1]))
        assert alerts_in(read_to_end(peer)) == [(2, 20)]  # bad_record_mac
    headgate.wait_metric("headgate_handshake_failures_total", reason="protocol_error", alert="bad_record_mac")
    assert headgate.metric("headgate_handshake_failures_total", reason="internal") == 0


def test_openssl_answers_each_first_flight_so(openssl_port):
    """What the table says of OpenSSL is what it does: else the comparison below would be none."""
    told = answers(openssl_port)
    expected = {case: row[-1] if isinstance(row[-1], tuple) else (row[-1],) for case, row in CASES.items()}
    assert not {case: alert for case, alert in told.items() if alert not in expected[case]}


def test_each_first_flight_is_answered_as_openssl_does_or_as_the_rfcs_say(start, backend, rsa_certificate):
    headgate = start(proxy(backend().address, rsa_certificate))
    wanted = {case: expected[0] for case, (_, *expected) in CASES.items()}
    if is_on_awslc():
        wanted |= ON_AWSLC
    assert answers(headgate.port()) == wanted
    sent = Counter(ALERTS[expected] for expected in wanted.values() if expected in ALERTS)
    for alert, count in sent.items():
        headgate.wait_metric("headgate_handshake_failures_total", alert=alert, wanted=count)


@pytest.mark.parametrize("case", ["a record over 2^14", "message 2 first", "an empty hello", "ALPN twice"])
def test_the_flight_recorder_tells_the_alert_that_was_sent(echo_proxy, case):
    wire, expected, *_ = CASES[case]
    assert answer(echo_proxy.port(), wire) == expected
    failed = wait_until(lambda: json.loads(echo_proxy.get("/handshakes.json")[1])["failed"], "the failure is there")
    assert [one["alert"] for one in failed] == [ALERTS[expected]]


@pytest.mark.parametrize("alert, name", [(40, "handshake_failure"), (80, "internal_error")])
def test_an_alert_in_place_of_the_hello_is_counted_as_the_clients(echo_proxy, alert, name):
    assert answer(echo_proxy.port(), record(bytes([2, alert]), ALERT)) == SILENCE
    echo_proxy.wait_metric("headgate_handshake_failures_total", reason="peer_alert", alert=name)
    echo_proxy.wait_metric("headgate_connections_closed_total", reason="handshake_failed", side="client")


@pytest.mark.parametrize("alert", [b"\1\0", b"\1\x5a"], ids=["close_notify", "user_canceled"])
def test_an_orderly_end_in_place_of_the_hello_is_a_client_that_left(echo_proxy, alert):
    assert answer(echo_proxy.port(), record(alert, ALERT)) == SILENCE
    echo_proxy.wait_metric("headgate_connections_closed_total", reason="client_left_in_handshake", side="client")
