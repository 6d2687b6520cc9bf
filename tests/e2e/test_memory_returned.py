"""Memory goes back to the system after a peak."""

import contextlib
import ssl

import pytest

from harness.backends import ManyEcho, silent
from harness.config import proxy
from harness.tls_client import TlsClient, python_context, python_tls
from harness.tools import is_on_awslc
from harness.waiting import wait_until

MIB = 1 << 20
# A peak may leave this much: tables that have grown, and pages with a few objects in use. It is much less than the peak
# added.
LEFT_BYTES = 8 * MIB


def use(headgate, context):
    client = python_tls(headgate.port(), context=context)
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    return client


def settled(headgate, bound):
    wait_until(lambda: headgate.rss_bytes() < bound, lambda: f"{headgate.rss_bytes() / MIB:.1f} MiB, not {bound / MIB:.1f}")


@pytest.mark.memory
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("record_layer", "count"), [("auto", 9000), ("openssl", 3000)])
def test_memory_after_thousands_of_connections_have_closed_is_what_it_was(
    start, certificate, record_layer, count, record_property
):
    with ManyEcho() as echo:
        log = {"level": "info", "format": "json", "access": "off"}
        headgate = start(proxy(echo.address, certificate, workers=1, log=log, tls={"record_layer": record_layer}))
        context = python_context()
        for _ in range(200):  # caches, pools and the allocator's first pages
            use(headgate, context).close()
        headgate.wait_metric("headgate_connections_active", 0)
        before = headgate.rss_bytes()
        with contextlib.ExitStack() as held:
            for _ in range(count):
                held.enter_context(use(headgate, context))
            peak = headgate.rss_bytes()
        headgate.wait_metric("headgate_connections_active", 0)
        settled(headgate, before + LEFT_BYTES)
        record_property("mib_before_peak_after", [round(b / MIB, 1) for b in (before, peak, headgate.rss_bytes())])
        assert peak - before > LEFT_BYTES, "the peak was none, so nothing was shown"


@pytest.mark.memory
@pytest.mark.slow
def test_memory_of_a_burst_of_handshakes_goes_back_though_the_connections_stay(start, certificate):
    if is_on_awslc():
        pytest.skip("a handshake by AWS-LC takes too little memory for a peak")
    count = 1500
    with ManyEcho() as echo, contextlib.ExitStack() as held:
        listener = {"timeouts": {"handshake": "60s"}, "limits": {"max_handshakes": 2 * count}}
        log = {"level": "info", "format": "json", "access": "off"}
        headgate = start(proxy(echo.address, certificate, workers=1, log=log, listener=listener))
        context = python_context()
        for _ in range(200):
            use(headgate, context).close()
        headgate.wait_metric("headgate_connections_active", 0)
        before = headgate.rss_bytes()
        clients = [held.enter_context(TlsClient(headgate.port())) for _ in range(count)]
        for client in clients:
            client.socket.sendall(client.client_hello())
        wait_until(lambda: headgate.rss_bytes() > before + 3 * LEFT_BYTES, lambda: f"{headgate.rss_bytes() / MIB:.1f} MiB")
        for client in clients:
            client.handshake()
            client.exchange(b"x")
        settled(headgate, before + LEFT_BYTES + 2048 * count)
        headgate.wait_metric("headgate_connections_active", count)


@pytest.mark.memory
@pytest.mark.slow
def test_memory_after_a_peak_of_bytes_that_nobody_reads_is_what_it_was(start, certificate, backend, record_layer):
    """The backends read slowly or not at all, so each connection holds bytes until it ends."""
    log = {"level": "info", "format": "json", "access": "off"}
    headgate = start(proxy(backend(silent).address, certificate, workers=1, log=log, tls={"record_layer": record_layer}))
    context = python_context()
    before = None
    for count in (50, 1000):
        with contextlib.ExitStack() as held:
            for _ in range(count):
                client = held.enter_context(python_tls(headgate.port(), context=context))
                client.setblocking(False)
                with contextlib.suppress(ssl.SSLWantWriteError, BlockingIOError):
                    for _ in range(100):
                        client.sendall(bytes(16_000))
        headgate.wait_metric("headgate_connections_active", 0)
        before = before or headgate.rss_bytes()
    settled(headgate, before + LEFT_BYTES)
