"""SSLKEYLOGFILE of one listener, for debugging: it has the secrets, and the log warns that it is on."""

import copy
import json
import os

import pytest

from harness.config import proxy
from harness.headgate import Headgate
from harness.tls_client import TLS12, TLS13, connect
from harness.tools import headgate_binary, run


@pytest.mark.parametrize("version, label", [(TLS12, "CLIENT_RANDOM "), (TLS13, "CLIENT_TRAFFIC_SECRET_0 ")])
def test_it_has_the_secrets_of_its_listener_and_is_warned_about(start, backend, certificate, tmp_path, version, label):
    file = tmp_path / "keys" / "web.log"
    file.parent.mkdir()
    config = proxy(backend().address, certificate, tls={"keylog_file": str(file)})
    other = copy.deepcopy(config["listeners"][0])
    other["name"] = "other"
    del other["tls"]["keylog_file"]
    config["listeners"].append(other)
    headgate = start(config)
    assert "can decrypt the traffic" in headgate.output
    assert headgate.metric("headgate_keylog_enabled", listener="web") == 1
    assert headgate.metric("headgate_keylog_enabled", listener="other") == 0
    with connect(headgate.port("other"), version=version) as client:
        client.exchange(b"kept to ourselves")
    assert file.read_text() == ""
    with connect(headgate.port("web"), version=version) as client:
        client.exchange(b"to be read by others")
        random = client.tls.client_random().hex()
    lines = file.read_text().splitlines()
    assert any(line.startswith(label + random) for line in lines), lines
    assert file.stat().st_mode & 0o077 == 0


def test_a_command_that_only_looks_at_the_configuration_makes_no_file(certificate, tmp_path):
    file, configuration = tmp_path / "web.log", tmp_path / "headgate.yaml"
    configuration.write_text(json.dumps(proxy("127.0.0.1:9", certificate, tls={"keylog_file": str(file)})))
    for command in (["check"], ["explain", "--listener", "web"]):
        told = run(headgate_binary(), *command, "--config", configuration)
        assert told.returncode == 0, told
        assert not file.exists()
    configuration.write_text(json.dumps(proxy("127.0.0.1:9", certificate, tls={"keylog_file": str(tmp_path / "no" / "f")})))
    told = run(headgate_binary(), "check", "--config", configuration)
    assert told.returncode == 1 and "No such file or directory" in told.stdout, told


@pytest.mark.parametrize("mode, owner, words", [(0o644, None, "chmod o= "), (0o640, None, ""), (0o600, 65534, "another user")])
def test_a_file_of_before_that_others_can_read_is_warned_about(start, backend, certificate, tmp_path, mode, owner, words):
    file = tmp_path / "web.log"
    file.touch()
    file.chmod(mode)
    if owner is not None:
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(file, owner, owner)
    headgate = start(proxy(backend().address, certificate, tls={"keylog_file": str(file)}))
    warned = [line for line in headgate.output.splitlines() if "the key log" in line]
    assert all(words in line for line in warned) and bool(warned) == bool(words), headgate.output


def test_a_file_that_cannot_be_written_is_a_fault(certificate, tmp_path):
    config = proxy("127.0.0.1:9", certificate, tls={"keylog_file": str(tmp_path / "absent" / "web.log")})
    headgate = Headgate(tmp_path, config)
    assert headgate.wait_exit() == 1
    assert "keylog_file" in headgate.output and "No such file or directory" in headgate.output
