"""Java's TLS client (JSSE)."""

from pathlib import Path

import pytest

from harness.config import proxy
from harness.tools import run, tool


@pytest.mark.slow
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_java_gets_back_a_mebibyte_twice(start, backend, certificate, authority, record_layer, version):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    source = Path(__file__).with_name("EchoClient.java")
    told = run(tool("java"), source, headgate.port(), authority.file, version, seconds=120)
    assert told.stdout == f"{version} same\n" * 2, told
    assert headgate.metric("headgate_handshakes_total", result="ok") == 2
