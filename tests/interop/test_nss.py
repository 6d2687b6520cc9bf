"""NSS, the TLS of Firefox, by its own test client."""

import pytest

from harness.config import proxy
from harness.dialogue import Dialogue
from harness.tools import run, tool


@pytest.fixture(scope="module")
def trust(tmp_path_factory, authority):
    """An NSS database that trusts the authority."""
    directory = tmp_path_factory.mktemp("nss")
    assert run(tool("certutil"), "-N", "-d", directory, "--empty-password").returncode == 0
    added = run(tool("certutil"), "-A", "-d", directory, "-n", "ca", "-t", "C,,", "-i", authority.file)
    assert added.returncode == 0, added
    return directory


def tstclnt(headgate, trust, *options):
    return Dialogue(
        tool("tstclnt"), "-h", "localhost", "-4", "-p", headgate.port(), "-a", "app.test", "-d", trust, "-v", *options
    )


@pytest.mark.parametrize("version", ["tls1.2", "tls1.3"])
def test_nss_verifies_and_exchanges_data(start, backend, certificate, trust, record_layer, version):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    with tstclnt(headgate, trust, "-V", f"{version}:{version}") as client:
        client.say("through nss\n")
        client.expect("through nss")


@pytest.mark.parametrize("group", ["x25519", "P256", "P384"])
def test_nss_speaks_each_group(start, backend, certificate, trust, group):
    headgate = start(proxy(backend().address, certificate))
    with tstclnt(headgate, trust, "-I", group) as client:
        client.say("in this group\n")
        client.expect("in this group")


@pytest.mark.parametrize("version", ["tls1.2", "tls1.3"])
def test_nss_resumes_its_session(start, backend, certificate, trust, tmp_path, version):
    """-L makes the client connect again, with the ticket of the first connection. The backend ends each connection."""
    (tmp_path / "request").write_text("x\n")
    headgate = start(proxy(backend(answer_and_end).address, certificate))
    options = ["-V", f"{version}:{version}", "-u", "-L", "2", "-A", tmp_path / "request"]
    with tstclnt(headgate, trust, *options) as client:
        client.expect_end()
    headgate.wait_metric("headgate_sessions_tickets_total", 1, event="resumed")


def answer_and_end(connection):
    connection.sendall(connection.recv(100))


def test_nss_with_false_start_is_served(start, backend, certificate, trust):
    headgate = start(proxy(backend().address, certificate))
    with tstclnt(headgate, trust, "-V", "tls1.2:tls1.2", "-g") as client:
        client.say("early\n")
        client.expect("early")
