"""The flight recorder's memory is bounded, whatever ClientHellos come."""

import json
import struct

import pytest

from harness.config import proxy
from harness.tls_client import raw_socket, read_to_end
from harness.tools import is_on_awslc

MIB = 1 << 20
# The recorder's own bound is 0.5 MiB for a worker and 1 MiB for its part of the answer; the rest is what the allocator
# keeps of one handshake at a time with so large a message.
BOUND_BYTES = 4 * MIB
CIPHERS = 30_900


def sized(width, content):
    return len(content).to_bytes(width, "big") + content


def large_hello(first_cipher):
    """Returns a ClientHello of 62 KB in four records, for TLS 1.2 and for cipher suites that no server has."""
    ciphers = b"".join(struct.pack(">H", 0x2000 + (first_cipher + number) % 0x3000) for number in range(CIPHERS))
    body = b"\x03\x03" + bytes(32) + sized(1, b"") + sized(2, ciphers) + sized(1, b"\x00")
    message = b"\x01" + sized(3, body)
    return b"".join(b"\x16\x03\x01" + sized(2, message[at : at + 16384]) for at in range(0, len(message), 16384))


def fail(headgate, number):
    with raw_socket(headgate.port()) as client:
        client.sendall(large_hello(number))
        read_to_end(client)


@pytest.mark.memory
def test_failed_handshakes_with_large_hellos_take_bounded_memory(start, backend, certificate, record_property):
    headgate = start(proxy(backend().address, certificate, workers=1, log={"level": "info", "format": "json", "access": "off"}))
    fail(headgate, 0)
    headgate.get("/handshakes.json")
    headgate.forget_peak()
    before = headgate.rss_bytes()
    for number in range(70):
        fail(headgate, number)
    too_long = "protocol_error" if is_on_awslc() else "no_shared_cipher"
    headgate.wait_metric("headgate_handshake_failures_total", 71, reason=too_long)
    kept = headgate.peak_rss_bytes() - before
    status, text = headgate.get("/handshakes.json")
    shown = headgate.peak_rss_bytes() - before
    record_property("mib_kept_shown", [round(size / MIB, 1) for size in (kept, shown)])
    assert kept < BOUND_BYTES and shown < BOUND_BYTES, (kept / MIB, shown / MIB)
    assert status == 200 and len(text) < MIB
    failed = json.loads(text)["failed"]
    assert len(failed) == 64
    offered = failed[0]["offered"]
    assert len(offered["ciphers"]) == 128 and offered["left_out"] == {"ciphers": CIPHERS - 128}
