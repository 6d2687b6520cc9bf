"""Early data that a client sends with a ticket of another server, as after a migration: it is skipped, never taken for
data, and the handshake goes on. RFC 8446, section 4.2.10.
"""

import pytest

from harness.config import proxy
from harness.dialogue import Dialogue
from harness.servers import Server, short_directory
from harness.tools import is_on_awslc, run, tool


@pytest.fixture(scope="module")
def session(certificate, tmp_path_factory):
    """A session of an OpenSSL server that allows 16 KiB of early data."""
    file = tmp_path_factory.mktemp("session") / "session.pem"
    files = ["-cert", certificate.certificate, "-key", certificate.key]
    argv = [tool("openssl"), "s_server", "-accept", "127.0.0.1:0", *files, "-www", "-quiet", "-tls1_3"]
    with Server([*argv, "-max_early_data", "16384"], short_directory()) as server:
        visit = ["s_client", "-connect", server.address, "-servername", "app.test", "-ign_eof", "-sess_out", file]
        run(tool("openssl"), *visit, stdin="GET / HTTP/1.0\r\n\r\n")
    assert "Max Early Data: 16384" in run(tool("openssl"), "sess_id", "-in", file, "-noout", "-text").stdout
    return file


@pytest.mark.parametrize("groups", ["X25519", "P-521:X25519"], ids=["at_once", "after_a_retry"])
@pytest.mark.parametrize("size", [4, 16_384], ids=["short", "all_that_the_ticket_allows"])
def test_early_data_is_skipped(start, backend, certificate, record_layer, session, tmp_path, groups, size):
    if is_on_awslc() and size > 16_000:
        pytest.skip("AWS-LC skips at most 16 KiB of records")
    tls = {"record_layer": record_layer, "groups": ["X25519"]}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    early = tmp_path / "early"
    early.write_bytes((b"too early\n" * size)[:size])
    visit = ["s_client", "-connect", headgate.address(), "-servername", "app.test", "-groups", groups, "-tls1_3"]
    with Dialogue(tool("openssl"), *visit, "-sess_in", session, "-early_data", early) as client:
        client.expect("Early data was rejected")
        client.say("in time\n")
        client.expect("in time")
        assert "too early" not in client.heard
    headgate.wait_metric("headgate_handshakes_total", result="ok")
    headgate.wait_metric("headgate_bytes_total", direction="from_client", wanted=len("in time\n"))
