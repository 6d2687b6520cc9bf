"""`log.ja4`: the line of a connection's end has the JA4 fingerprint of its ClientHello."""

import json
import re

import pytest
from OpenSSL import SSL

from harness.config import proxy
from harness.headgate import Headgate
from harness.kernel import listening_ports
from harness.tls_client import TLS12, TLS13, connect
from harness.tools import headgate_binary, run, tool
from harness.waiting import wait_until

JA4 = re.compile(r"t1[23]d\d{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}")


def with_ja4(config, switch="on"):
    return {**config, "log": {**config["log"], "ja4": switch}}


def served(port, **options):
    with connect(port, **options) as client:
        client.exchange(b"served")
        client.end_writing()
        client.recv_to_end()


def ended(headgate, count=1, **fields):
    """The `count`th line of an end with these fields, by whichever process."""
    lines = wait_until(
        lambda: headgate.log_with(message="connection ended", **fields)[count - 1 :], lambda: headgate.output
    )
    return lines[0]


def test_it_is_that_of_the_recorded_handshake(start, backend, certificate):
    headgate = start(with_ja4(proxy(backend().address, certificate)))
    served(headgate.port(), alpn=["h2"], version=TLS13)
    told = ended(headgate)["ja4"]
    assert JA4.fullmatch(told) and told.startswith("t13d")
    assert told == json.loads(headgate.get("/handshakes.json")[1])["slowest"][0]["ja4"]
    served(headgate.port(), version=TLS12)
    other = ended(headgate, 2)["ja4"]
    assert JA4.fullmatch(other) and other.startswith("t12d")


def test_it_is_absent_by_default(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    served(headgate.port())
    assert "ja4" not in ended(headgate)


def test_clients_that_are_refused_or_pass_through_have_one_too(start, backend, certificate):
    config = with_ja4(proxy(backend().address, certificate, tls={"alpn": ["h2"]}))
    config["listeners"][0]["routes"] = [{"sni": ["pass.test"], "passthrough": True, "backend": "app"}]
    headgate = start(config)
    with pytest.raises(SSL.Error):
        connect(headgate.port(), alpn=["spdy/1"])
    assert JA4.fullmatch(ended(headgate, failure="no_shared_alpn")["ja4"])
    # The server behind it sends the ClientHello back, which is no ServerHello.
    assert run(tool("openssl"), "s_client", "-connect", headgate.address(), "-servername", "pass.test").returncode
    assert JA4.fullmatch(ended(headgate, sni="pass.test")["ja4"])


def test_it_follows_its_connection_through_a_reload_and_an_upgrade(line, backend, certificate):
    config = proxy(backend().address, certificate)
    running = line(with_ja4(config))
    headgate = running.headgate
    with connect(headgate.port(), version=TLS13) as client:
        client.exchange(b"before")
        headgate.write_config(config)
        assert headgate.post("/reload")[0] == 200
        running.upgrade()
        client.exchange(b"after")
        client.end_writing()
        client.recv_to_end()
    assert JA4.fullmatch(ended(headgate, reason="finished")["ja4"])
    served(headgate.port())
    assert "ja4" not in ended(headgate, 2, reason="finished")
    headgate.write_config(with_ja4(config))
    assert headgate.post("/reload")[0] == 200
    served(headgate.port())
    assert JA4.fullmatch(ended(headgate, 3, reason="finished")["ja4"])


def test_a_line_of_text_has_it_too(backend, certificate, tmp_path):
    log = {"format": "text", "access": "all", "ja4": "on"}
    headgate = Headgate(tmp_path, proxy(backend().address, certificate, log=log, admin={"bind": "off"}))
    try:
        served(wait_until(lambda: listening_ports(headgate.child.pid), lambda: headgate.output)[0])
        wait_until(lambda: re.search(" ja4=" + JA4.pattern, headgate.output), lambda: headgate.output)
    finally:
        headgate.stop()


@pytest.mark.parametrize("value", ["sometimes", 4, ["on"]], ids=str)
def test_a_value_that_is_no_switch_is_a_fault(certificate, tmp_path, value):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(with_ja4(proxy("127.0.0.1:9", certificate), value)))
    told = run(headgate_binary(), "check", "--config", file)
    assert told.returncode == 1 and "log.ja4: " in told.stdout, told
