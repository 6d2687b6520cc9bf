"""Variables of the environment in the configuration: put in where it permits them, told by `check`, never a secret."""

import json
import os
import signal

import pytest

from harness.backends import greeting_then_echo
from harness.config import file_text, plain_proxy, proxy
from harness.tls_client import connect
from harness.tools import headgate_binary, run
from harness.waiting import wait_until


def environment(**variables):
    return {**os.environ, **variables}


def told_by(command, file, **variables):
    return run(headgate_binary(), *command.split(), file, env=environment(**variables))


@pytest.fixture
def write(tmp_path):
    def write_one(text):
        file = tmp_path / "headgate.yaml"
        file.write_text(text)
        return file

    return write_one


SMALL = """\
environment: [PORT, "BACKEND_*"]
listeners:
  - name: web
    bind: "127.0.0.1:${PORT:-8443}"
    backend: app
backends:
  app:
    servers: "${BACKEND_HOST}:8080"
"""


def test_a_real_connection_goes_where_the_variables_say(start, backend, certificate):
    server = backend(greeting_then_echo(b"v"))
    host, port = server.address.rsplit(":", 1)
    config = proxy("${BACKEND_HOST}:${BACKEND_PORT:-1}", certificate, environment=["BACKEND_*"], listener={"name": "${BACKEND_NAME}"})
    headgate = start(config, env=environment(BACKEND_HOST=host, BACKEND_PORT=port, BACKEND_NAME="web"))
    with connect(headgate.port("web")) as client:
        assert client.recv_exactly(1) == b"v"


def test_reloads_and_upgrades_have_the_environment_of_the_start(line, backend, certificate):
    servers = {letter: backend(greeting_then_echo(letter.encode())).address for letter in "ab"}
    config = proxy("${SERVER_A}", certificate, environment=["SERVER_A", "SERVER_B"])
    running = line(config, env=environment(SERVER_A=servers["a"], SERVER_B=servers["b"]))
    headgate = running.headgate

    def greeting():
        with connect(headgate.port()) as client:
            return client.recv_exactly(1)

    assert greeting() == b"a"
    before = headgate.metric("headgate_config_hash")
    config["backends"]["app"]["servers"] = ["${SERVER_B}"]
    headgate.write_config({**config, "sandbox": False})
    wait_until(lambda: greeting() == b"b", lambda: headgate.output)
    changed = headgate.metric("headgate_config_hash")
    assert changed != before, "the hash is of what was put in"
    with connect(headgate.port()) as client:
        assert client.recv_exactly(1) == b"b"
        assert running.upgrade()["moved"] == 1
        client.exchange(b"over the upgrade")
    assert greeting() == b"b"
    assert headgate.metric("headgate_config_hash") == changed
    config["backends"]["app"]["servers"] = ["${SERVER_C}"]
    headgate.write_config({**config, "sandbox": False})
    wait_until(lambda: headgate.status()["reload"]["faults"], lambda: headgate.output)
    (fault,) = headgate.status()["reload"]["faults"]
    assert "backends.app.servers[0].address: ${SERVER_C} is not in `environment`" in fault
    assert greeting() == b"b"


def test_check_lists_each_variable_with_its_place(write):
    file = write(SMALL)
    told = told_by("check", file, BACKEND_HOST="app.internal")
    assert told.returncode == 0, told
    lines = told.stdout.splitlines()
    assert f'{file}:4:11: listeners[0].bind[0].address: note: PORT is not set, so its default is put in: "8443"' in lines
    assert f'{file}:8:14: backends.app.servers[0].address: note: BACKEND_HOST of the environment is "app.internal"' in lines
    shown = told_by("show", file, BACKEND_HOST="app.internal", PORT="9443")
    assert 'address: "127.0.0.1:9443"' in shown.stdout and 'address: "app.internal:8080"' in shown.stdout
    assert "note" not in shown.stderr and "BACKEND_HOST" not in shown.stdout
    explained = run(headgate_binary(), "explain", file, "--listener", "web", env=environment(BACKEND_HOST="app.internal"))
    assert "app.internal:8080" in explained.stdout


def test_a_variable_that_is_not_set_is_a_fault_with_its_place(write):
    file = write(SMALL)
    fault = f"{file}:8:14: backends.app.servers[0].address: ${{BACKEND_HOST}} is not set; "
    for command in ("check", "show", "run --config"):
        told = told_by(command, file)
        assert told.returncode == 1 and fault in told.stdout + told.stderr, (command, told)


@pytest.mark.parametrize(
    "value, fault",
    [
        ("127.0.0.1:1, 127.0.0.1:2", "backends.app.servers[0].address: "),
        ("a]\nadmin: {bind: ':1'}", "has a line break or another control character in it"),
        ("x\\", "backends.app.servers[0].address: "),
        ("${PORT}", "backends.app.servers[0].address: "),
        ("*alias", "backends.app.servers[0].address: "),
        ("a" * 5000, "is longer than 4096 bytes"),
    ],
    ids=["list", "line break", "backslash", "variable", "alias", "long"],
)
def test_no_value_adds_structure(write, value, fault):
    told = told_by("check", write(SMALL), BACKEND_HOST=value)
    assert told.returncode == 1
    assert f":8:14: backends.app.servers[0].address: " in told.stdout and fault in told.stdout, told.stdout
    assert "BACKEND_HOST" in told.stdout


def test_no_secret_of_the_environment_is_shown(write, authority, tmp_path):
    pem = authority.issue("app.test", file="key-in-environment").key.read_text()
    body = pem.splitlines()[1]
    whole = "".join(pem.splitlines()[1:-1])
    for name, value in (("BACKEND_HOST", pem), ("BACKEND_HOST", whole), ("BACKEND_PASSWORD", "hunter2hunter2")):
        for key in ('servers: "${%s}:80"', "servers: ['127.0.0.1:1']\n    tls: {private_key: '${%s}'}",
                    "servers: ['127.0.0.1:1']\n    tls: {certificate: '${%s}'}",
                    "servers: ['127.0.0.1:1']\n    health_check: {send: 'AUTH ${%s}'}"):  # fmt: skip
            text = SMALL.replace('servers: "${BACKEND_HOST}:8080"', key % name)
            file = write(text)
            for command in ("check", "show", "run --config"):
                told = told_by(command, file, **{name: value})
                assert told.returncode == 1, (command, text, told)
                for piece in (body[:12], body[20:32], "hunter2"):
                    assert piece not in told.stdout + told.stderr, (command, text, told)


@pytest.mark.parametrize("name", ["BACKEND_KEY_BASE64", "BACKEND_API_KEY_2", "BACKEND_APIKEY", "BACKEND_PWD"])
def test_a_secret_is_told_by_any_word_of_its_name(write, name):
    """Only one at the end of the name was."""
    file = write(SMALL.replace("BACKEND_HOST", name))
    for command in ("check", "show"):
        told = told_by(command, file, **{name: "hunter2"})
        assert told.returncode == 1 and "is that of a secret" in told.stdout + told.stderr, told
        assert "hunter2" not in told.stdout + told.stderr


def test_without_the_key_a_dollar_is_a_character(start, backend, certificate):
    """As in files that were written before variables were known."""
    config = proxy(backend().address, certificate, app={"health_check": {"send": "$$${HOME}", "expect": "$$${HOME}", "interval": "1s"}})
    headgate = start(config, env=environment(HOME="/nowhere"))
    wait_until(lambda: headgate.metric("headgate_backend_up", backend="app") == 1, lambda: headgate.output)
    headgate.signal(signal.SIGHUP)
    wait_until(lambda: headgate.metric("headgate_reloads_total", result="ok") >= 1, lambda: headgate.output)
    file = headgate.config_file
    assert "$$${HOME}" in told_by("show", file, HOME="/nowhere").stdout


def test_sni_and_alpn_of_the_client_keep_their_meaning(write):
    text = SMALL.replace("    backend: app", "    tls: {certificates: [a.pem], alpn: [h2]}\n    backend: app")
    text += "    tls: {server_name: $sni, alpn: [$alpn], verify: off}\n"
    shown = told_by("show", write(text), BACKEND_HOST="127.0.0.1")
    assert shown.returncode == 0, shown
    assert 'server_name: "$sni"' in shown.stdout and 'alpn: ["$alpn"]' in shown.stdout


def test_json_is_read_alike(tmp_path):
    file = tmp_path / "headgate.yaml"
    file.write_text(file_text({**plain_proxy("127.0.0.1:${PORT}"), "environment": "PORT"}))
    shown = told_by("show", file, PORT="81")
    assert 'address: "127.0.0.1:81"' in shown.stdout, json.dumps(shown.stderr)
