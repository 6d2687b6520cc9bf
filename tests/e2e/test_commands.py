"""The command line: what each command prints and how it exits."""

import json
import os
import re
import shutil
import socket

import pytest

from harness.authority import Authority
from harness.backends import saying
from harness.config import proxy
from harness.headgate import Headgate
from harness.tls_client import connect
from harness.tools import headgate_binary, run, tool
from harness.waiting import wait_until


def headgate(*arguments, **options):
    return run(headgate_binary(), *arguments, **options)


def test_version_names_itself_and_its_openssl():
    told = headgate("--version")
    assert told.returncode == 0
    assert re.search(r"headgate \d+\.\d+\.\d+", told.stdout) and re.search(r"OpenSSL 3\.\d+", told.stdout)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["check", "--help"], ["demo", "--help"]])
def test_help_is_no_error(arguments):
    told = headgate(*arguments)
    assert told.returncode == 0 and "sage" in told.stdout


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["run", "--no-such-option"], ["run"], ["check"], ["run", "--config"]],
    ids=lambda words: " ".join(words) or "nothing",
)
def test_a_wrong_command_line_exits_2_and_says_so(arguments):
    told = headgate(*arguments)
    assert told.returncode == 2 and told.stderr


def test_check_of_a_good_file_exits_0(certificate, tmp_path):
    told = check(tmp_path, proxy("127.0.0.1:9", certificate))
    assert told.returncode == 0, told


def check(tmp_path, config):
    file = tmp_path / "headgate.yaml"
    file.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))
    return headgate("check", "--config", file)


def test_check_of_a_bad_file_exits_1(tmp_path):
    assert check(tmp_path, "listeners: []\n").returncode == 1


def test_run_with_a_bad_file_exits_1_and_says_what_check_says(tmp_path):
    told_by_check = check(tmp_path, "listenerz: []\n")
    told_by_run = headgate("run", "--config", tmp_path / "headgate.yaml")
    assert told_by_run.returncode == 1
    fault = next(line for line in (told_by_check.stdout + told_by_check.stderr).splitlines() if "listenerz" in line)
    assert fault in told_by_run.stderr


def test_a_file_that_is_not_there_exits_1_and_is_named(tmp_path):
    told = headgate("run", "--config", tmp_path / "absent.yaml")
    assert told.returncode == 1 and "absent.yaml" in told.stderr


def test_a_taken_port_exits_3_with_one_line_that_names_it(certificate, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = proxy("127.0.0.1:9", certificate, listener={"bind": address})
        one = Headgate(tmp_path, config)
        assert one.wait_exit() == 3
        assert address in one.output


def test_a_taken_admin_port_exits_3_with_one_line_that_names_it(certificate, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        one = Headgate(tmp_path, proxy("127.0.0.1:9", certificate, admin={"bind": address}))
        assert one.wait_exit() == 3
        assert address in one.output


@pytest.mark.skipif(os.geteuid() != 0, reason="dropping to a user without permission needs root")
def test_a_port_without_permission_exits_3(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nobody")
    for folder in [directory, *directory.parents]:
        if str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    pair = Authority(directory / "ca").issue("app.test")
    pair.key.chmod(0o644)
    path = directory / "locked" / "x.sock"
    path.parent.mkdir(mode=0o700)
    program = shutil.copy(headgate_binary(), directory / "headgate")  # other users may have no access to the checkout
    config = proxy("127.0.0.1:9", pair, listener={"bind": f"unix:{path}"})
    one = Headgate(directory, config, user="nobody", executable=program)
    assert one.wait_exit() == 3
    assert str(path) in one.output


def test_show_prints_a_file_that_check_accepts_with_every_default(certificate, tmp_path):
    config = proxy("127.0.0.1:9", certificate)
    assert check(tmp_path, config).returncode == 0
    shown = headgate("show", "--config", tmp_path / "headgate.yaml")
    assert shown.returncode == 0
    for default in ("backlog: 4096", "connect_timeout: 2s", "half_close: 1m", "unknown_name: serve_default"):
        assert default in shown.stdout, shown.stdout
    again = tmp_path / "shown.yaml"
    again.write_text(shown.stdout)
    assert headgate("check", "--config", again).returncode == 0
    assert headgate("show", "--config", again).stdout == shown.stdout


def test_quick_start_flags_need_no_file(start, backend, certificate, tmp_path):
    arguments = [
        "run", "--listen", "127.0.0.1:0", "--backend", backend().address,
        "--certificate", certificate.certificate, "--key", certificate.key,
    ]  # fmt: skip
    one = Headgate(tmp_path, arguments=arguments)
    try:
        port = listening_port(one)
        with connect(port) as client:
            client.exchange(b"quick")
            assert client.certificate() == certificate.x509
    finally:
        one.stop()


def listening_port(one):
    """The port of the one listener, as a text line of the log says it."""

    def said():
        assert one.child.poll() is None, one.output
        return re.search(r"(?<!admin )listening .*?address=127\.0\.0\.1:(\d+)", one.output)

    return int(wait_until(said, lambda: one.output).group(1))


def demo(tmp_path, *arguments):
    return Headgate(
        tmp_path, arguments=["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *arguments]
    )


def test_the_demo_answers_curl(tmp_path):
    one = demo(tmp_path)
    try:
        port = listening_port(one)
        told = run(tool("curl"), "--silent", "--show-error", "--insecure", f"https://127.0.0.1:{port}/")
        assert told.returncode == 0 and told.stdout, told
    finally:
        one.stop()


def test_the_demo_prints_the_curl_line_to_try(tmp_path):
    one = demo(tmp_path)
    try:
        port = listening_port(one)
        line = wait_until(
            lambda: re.search(r"curl [^\n]*https://[^\n]*", one.output), lambda: f"no curl line:\n{one.output}"
        ).group(0)
        assert str(port) in line
        told = run("sh", "-c", line)
        assert told.returncode == 0 and told.stdout, told
    finally:
        one.stop()


def test_the_demo_takes_a_backend(tmp_path, backend):
    one = demo(tmp_path, "--backend", backend(saying(b"mine")).address)
    try:
        with connect(listening_port(one)) as client:
            assert client.recv_to_end() == b"mine"
    finally:
        one.stop()
