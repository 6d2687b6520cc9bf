"""The command line: what each command prints and how it exits."""

import json
import os
import re
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
    assert re.search(r"headgate \d+\.\d+\.\d+", told.stdout) and re.search(r"OpenSSL 3\.\d+|AWS-LC \d+\.\d+", told.stdout)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["check", "--help"], ["demo", "--help"]])
def test_help_is_no_error(arguments):
    told = headgate(*arguments)
    assert told.returncode == 0 and "sage" in told.stdout


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["run", "--no-such-option"], ["run"], ["check"], ["run", "--config"], ["check", "a.yaml", "-c", "b.yaml"],
     ["run", "-"], ["help", "nonsense"], ["nonsense", "--help"]],
    ids=lambda words: " ".join(words) or "nothing",
)
def test_a_wrong_command_line_exits_2_and_says_so(arguments):
    told = headgate(*arguments)
    assert told.returncode == 2 and told.stderr


@pytest.mark.parametrize("word", ["version", "--version"])
def test_the_version_is_a_command_and_an_option(word):
    assert headgate(word).stdout == headgate("--version").stdout != ""


@pytest.mark.parametrize("words", [[], ["check"], ["import", "haproxy"], ["help"]], ids=" ".join)
def test_help_is_a_command_and_an_option(words):
    told = headgate("help", *words)
    assert (told.returncode, told.stdout) == (0, headgate(*words, "--help").stdout)
    assert "Example" in told.stdout


@pytest.mark.parametrize(
    "arguments, fault",
    [
        (["chekc", "--config", "x.yaml"], 'headgate: there is no command "chekc"; did you mean "check"?'),
        (["chekc", "--help"], 'headgate: there is no command "chekc"; did you mean "check"?'),
        (["help", "rum"], 'headgate: there is no command "rum"; did you mean "run"?'),
        (["import", "haprxy", "x"], 'headgate import: there is no command "haprxy"; did you mean "haproxy"?'),
        (["ticket-key", "nwe"], 'headgate ticket-key: there is no command "nwe"; did you mean "new"?'),
        (["check", "--confg", "x.yaml"], 'headgate check: there is no option "--confg"; did you mean "--config"?'),
        (["run", "--listn=:8443", "--backend", "a:1"], 'headgate run: there is no option "--listn"; did you mean "--listen"?'),
        (["run", "--listn", ":8443", "--backend", "a:1"], 'headgate run: there is no option "--listn"; did you mean "--listen"?'),
        (["demo", "--amdin", "off"], 'headgate demo: there is no option "--amdin"; did you mean "--admin"?'),
        (["check", "-x", "x.yaml"], 'headgate check: there is no option "-x"'),
        (["start"], 'headgate: there is no command "start"'),
        (["check", "one.yaml", "two.yaml"], 'headgate check: the argument "two.yaml" is one too many'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_a_mistyped_word_gets_a_suggestion(arguments, fault):
    told = headgate(*arguments)
    assert told.returncode == 2 and told.stdout == ""
    assert told.stderr.splitlines()[0] == fault
    assert told.stderr.splitlines()[1].endswith(" --help")


def test_a_missing_command_gets_the_list():
    assert headgate().stderr.startswith("headgate: a command is needed: run, demo, check, show, explain, ")
    assert headgate("import").stderr.startswith("headgate import: a command is needed: hitch, ")


def commands():
    """Every command of the help, those of `import` and `ticket-key` too."""

    def below(*words):
        listed = headgate(*words, "--help").stdout.partition("Subcommands:\n")[2].partition("\n\n")[0]
        for name in re.findall(r"^  (\S+)", listed, re.MULTILINE):
            yield [*words, name]
            yield from below(*words, name)

    found = list(below())
    assert ["check"] in found and ["import", "haproxy"] in found
    return found


def examples_of(command):
    told = headgate(*command, "--help").stdout
    return re.findall(r"^  headgate (.*)$", told.partition("Example")[2], re.MULTILINE)


def test_the_help_of_each_command_has_an_example_of_it():
    for command in commands():
        examples = examples_of(command)
        assert examples and all(line.startswith(" ".join(command)) for line in examples), command


def test_the_examples_of_the_help_work(certificate, tmp_path):
    """Those of `run` and `demo` would serve, on ports of their own; their options are looked up instead."""
    for number, line in enumerate(line for command in commands() for line in examples_of(command)):
        words = line.split(" ")
        if words[0] in ("run", "demo"):
            known = headgate(words[0], "--help").stdout
            assert all(word in known for word in words if word.startswith("--")), line
        elif "FILE" not in words:
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "headgate.yaml").write_text(json.dumps(proxy("127.0.0.1:9", certificate)))
            (folder / "haproxy.cfg").write_text("listen a\n mode tcp\n bind :1\n server a 127.0.0.1:2\n")
            environment = {**os.environ, "HEADGATE": headgate_binary()}
            told = run("sh", "-c", f'exec "$HEADGATE" {line}', cwd=folder, env=environment)
            assert told.returncode == 0, (line, told)


@pytest.mark.parametrize("way", [[], ["-c"], ["--config"]], ids=str)
@pytest.mark.parametrize("command", ["check", "show"])
def test_a_configuration_needs_no_option_in_front(certificate, tmp_path, command, way):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(proxy("127.0.0.1:9", certificate)))
    told = headgate(command, *way, file)
    assert told.returncode == 0 and told.stdout, told


def test_run_and_explain_take_a_configuration_without_an_option_too(certificate, tmp_path):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(proxy("127.0.0.1:9", certificate)))
    assert "backend: app" in headgate("explain", file, "--listener", "web").stdout
    one = Headgate(tmp_path, arguments=["run", file])
    try:
        listening_port_in_json(one)
    finally:
        one.stop()


def listening_port_in_json(one):
    wait_until(lambda: '"listening"' in one.output, lambda: one.output)


@pytest.mark.parametrize("way", [["-"], ["-c", "-"], ["--config", "-"]], ids=" ".join)
def test_check_reads_standard_input(certificate, tmp_path, way):
    (tmp_path / "here.crt").write_bytes(certificate.certificate.read_bytes())
    (tmp_path / "here.key").write_bytes(certificate.key.read_bytes())
    config = proxy("127.0.0.1:9", tls={"certificates": [{"certificate": "here.crt", "private_key": "here.key"}]})
    told = headgate("check", *way, stdin=json.dumps(config), cwd=tmp_path)
    assert told.returncode == 0 and told.stdout.endswith("<stdin>: ok\n"), told
    told = headgate("check", *way, stdin="listenerz: []\n")
    assert told.returncode == 1 and "<stdin>:1:1: listenerz: unknown key" in told.stdout, told


@pytest.mark.parametrize("text", ["", "\0", "a" * 100_000, "- ["], ids=["nothing", "NUL", "long", "broken"])
def test_standard_input_without_a_configuration_is_a_fault(text):
    told = headgate("check", "-", stdin=text)
    assert told.returncode == 1 and told.stdout.startswith("<stdin>"), told


def test_closed_standard_input_is_a_fault():
    told = run("sh", "-c", f"exec {headgate_binary()} check - <&-")
    assert told.returncode == 1 and told.stdout == "<stdin>: cannot be read: Bad file descriptor\n", told


def test_no_message_about_the_command_line_carries_a_key():
    body = "MHcCAQEEIE5vdCBhIGtleSBhdCBhbGwsIGp1c3QgYnl0ZXMgoAoGCCqGSM49AwEH"
    for arguments in ([body], ["check", "a", body], ["check", "--" + body], ["help", body]):
        told = headgate(*arguments)
        assert told.returncode == 2 and told.stderr and "MHcCAQEE" not in told.stderr, told


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


@pytest.mark.parametrize("option", ["--listen", "--admin"])
@pytest.mark.parametrize("command", ["demo", "run"])
def test_a_start_without_a_file_names_the_option_of_a_taken_port(certificate, tmp_path, command, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        addresses = {"--listen": "127.0.0.1:0", "--admin": "127.0.0.1:0", option: address}
        if command == "run":
            addresses |= {"--backend": "127.0.0.1:9", "--certificate": certificate.certificate, "--key": certificate.key}
        one = Headgate(tmp_path, arguments=[command, *(word for pair in addresses.items() for word in pair)])
        assert one.wait_exit() == 3
    assert f"headgate: {option}: cannot listen on {address}: Address already in use; " in one.output
    assert "bind" not in one.output.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="dropping to a user without permission needs root")
def test_a_port_without_permission_exits_3(open_directory, open_program):
    pair = Authority(open_directory / "ca").issue("app.test")
    pair.key.chmod(0o644)
    path = open_directory / "locked" / "x.sock"
    path.parent.mkdir(mode=0o700)
    config = proxy("127.0.0.1:9", pair, listener={"bind": f"unix:{path}"})
    one = Headgate(open_directory, config, user="nobody")
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


def test_the_demo_warns_of_nothing_of_its_own(tmp_path):
    """Its own certificate is no file that others can read, and a default group that this OpenSSL lacks is a note."""
    one = demo(tmp_path)
    try:
        listening_port(one)
        assert re.findall(r"^\S+ warn +(.*)$", one.output, re.MULTILINE) == []
        notes = [line for line in one.output.splitlines() if "lacks the group" in line]
        assert all(" info " in line and "note: OpenSSL " in line for line in notes), notes
    finally:
        one.stop()


def test_the_demo_takes_a_backend(tmp_path, backend):
    one = demo(tmp_path, "--backend", backend(saying(b"mine")).address)
    try:
        with connect(listening_port(one)) as client:
            assert client.recv_to_end() == b"mine"
    finally:
        one.stop()
