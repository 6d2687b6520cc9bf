"""The memory of an idle connection."""

import pytest

from harness.backends import ManyEcho
from harness.config import proxy
from harness.tls_client import python_context, python_tls

# One more connection may cost this much on average. With few connections most of it is memory that they share, such as
# the AEAD contexts that a worker keeps.
BOUND_BYTES = {("auto", 1000): 3072, ("auto", 8000): 1280, ("openssl", 1000): 40 * 1024, ("openssl", 8000): 40 * 1024}


@pytest.mark.memory
@pytest.mark.parametrize("count", [1000, pytest.param(8000, marks=pytest.mark.slow)])
def test_an_idle_connection_costs_bounded_memory(start, certificate, record_layer, count):
    with ManyEcho() as echo:
        headgate = start(proxy(echo.address, certificate, workers=1, tls={"record_layer": record_layer}))
        context = python_context()
        clients = []

        def open_and_use(number):
            for _ in range(number):
                client = python_tls(headgate.port(), context=context)
                client.sendall(b"x")
                assert client.recv(1) == b"x"
                clients.append(client)

        try:
            open_and_use(200)  # caches, pools and the allocator's first pages
            before = headgate.rss_bytes()
            open_and_use(count)
            assert (headgate.rss_bytes() - before) / count < BOUND_BYTES[record_layer, count]
        finally:
            for client in clients:
                client.close()
