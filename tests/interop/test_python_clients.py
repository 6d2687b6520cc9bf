"""Python's own TLS, used in the ways that its users use it."""

import asyncio
import http.client
import ssl

import pytest

from harness.backends import http_ok
from harness.config import proxy
from harness.tls_client import python_context, python_tls

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"])


@VERSIONS
def test_http_client_makes_many_requests(start, backend, certificate, authority, record_layer, version):
    headgate = start(proxy(backend(http_ok).address, certificate, tls={"record_layer": record_layer}))
    context = python_context(authority.file, version)
    connection = http.client.HTTPSConnection("localhost", headgate.port(), context=context, timeout=30)
    for number in range(50):
        connection.request("GET", f"/{number}")
        assert connection.getresponse().read() == f"GET /{number} HTTP/1.1\n".encode()
    connection.close()


@VERSIONS
def test_unwrap_ends_tls_in_order(start, backend, certificate, authority, record_layer, version):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    client = python_tls(headgate.port(), ca=authority.file, version=version)
    client.sendall(b"hello")
    assert client.recv(5) == b"hello"
    client.unwrap().close()
    headgate.wait_metric("headgate_connections_closed_total", reason="finished")


def test_asyncio_holds_a_hundred_conversations(start, backend, certificate, authority, record_layer):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    context = python_context(authority.file)

    async def talk(number):
        reader, writer = await asyncio.open_connection("localhost", headgate.port(), ssl=context)
        for turn in range(5):
            line = f"{number} {turn}\n".encode()
            writer.write(line)
            assert await reader.readline() == line
        writer.close()
        await writer.wait_closed()

    async def talk_all():
        await asyncio.gather(*(talk(number) for number in range(100)))

    asyncio.run(talk_all())
    headgate.wait_metric("headgate_connections_closed_total", 100, reason="finished")
