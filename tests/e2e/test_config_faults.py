"""Every fault of a configuration is reported, with its place and what would be right."""

import re

import pytest

from harness.tools import headgate_binary, run

GOOD = """\
listeners:
  - name: web
    bind: 127.0.0.1:0
    tls:
      certificates:
        - {certificate: CERTIFICATE, private_key: KEY}
    backend: app
backends:
  app:
    servers: [127.0.0.1:8080]
"""


@pytest.fixture
def check(tmp_path, certificate):
    """Runs `check` on a file of the given text; the answer's `text` is all it printed."""

    def run_check(text):
        file = tmp_path / "headgate.yaml"
        text = text.replace("CERTIFICATE", str(certificate.certificate)).replace("KEY", str(certificate.key))
        file.write_text(text)
        told = run(headgate_binary(), "check", "--config", file)
        told.text = told.stdout + told.stderr
        return told

    return run_check


def test_the_good_file_of_these_tests_is_good(check):
    told = check(GOOD)
    assert told.returncode == 0, told.text


@pytest.mark.parametrize(
    "line, replacement, fault",
    [
        ("    backend: app", "    backned: app", r":7:5: .*backned.*backend"),
        ("    bind: 127.0.0.1:0", "    bind: 127.0.0.1:99999", r":3:11: .*bind"),
        ("    bind: 127.0.0.1:0", "    bind: 127.0.0.1", r":3:11: .*bind"),
        ("    backend: app", "    backend: nowhere", r":7:14: .*nowhere"),
        ("    backend: app", "    backend: app\n    timeouts: {idle: 30}", r":8:22: .*idle.*30s?"),
        ("    backend: app", "    backend: app\n    timeouts: {idle: 5 parsecs}", r":8:22: .*idle"),
        ("    backend: app", "    backend: app\n    backlog: many", r":8:14: .*backlog"),
        ("    backend: app", "    backend: app\n    starttls: mysql", r":8:15: .*mysql.*not available"),
        ("    tls:", "    tls:\n      min_version: '1.1'", r":5:20: .*min_version"),
        ("    tls:", "    tls:\n      min_version: '1.3'\n      max_version: '1.2'", r"(min|max)_version"),
        ("    tls:", "    tls:\n      groups: [Q-999]", r":5:1[5-9]: .*Q-999"),
        ("    tls:", "    tls:\n      cipher_suites: [TLS_NONSENSE]", r":5:2[0-9]: .*TLS_NONSENSE"),
        ("    tls:", "    tls:\n      client_auth: {mode: required}", r"ca"),
        ("    servers: [127.0.0.1:8080]", "    servers: []", r":9:3: .*servers"),
        ("  app:", "  app:\n    balance: fair", r":10:14: .*balance.*fair"),
        ("  app:", "  app:\n    send_proxy: v3", r":10:17: .*send_proxy"),
        ("listeners:", "workers: -1\nlisteners:", r":1:10: .*workers"),
        ("listeners:", "log: {level: loud}\nlisteners:", r":1:14: .*level.*loud"),
        ("listeners:", "listeners:\n  - {name: web, bind: 127.0.0.1:0, backend: app}", r"web"),
    ],
    ids=lambda value: value.strip().replace("\n", " ")[:40] if " " in value else None,
)
def test_a_fault_is_at_its_line_and_column(check, line, replacement, fault):
    assert line + "\n" in GOOD
    told = check(GOOD.replace(line + "\n", replacement + "\n"))
    assert told.returncode == 1, told.text
    assert re.search(fault, told.text), told.text


def test_every_fault_is_reported_at_once(check):
    told = check(GOOD.replace("name: web", "nmae: web").replace("backend: app", "backend: gone"))
    assert "nmae" in told.text and "gone" in told.text


def test_broken_yaml_is_one_fault_with_its_place(check):
    told = check("listeners: [\n  {name: web,\n")
    assert told.returncode == 1
    assert re.search(r"headgate\.yaml:\d+:\d+: ", told.text), told.text


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "[]\n", "just words\n", "\x00\xff"])
def test_a_file_that_is_no_configuration_is_a_fault(check, text):
    told = check(text)
    assert told.returncode == 1 and told.text


def test_a_key_given_twice_is_a_fault(check):
    told = check(GOOD + "backends:\n  app:\n    servers: [127.0.0.1:9]\n")
    assert told.returncode == 1 and "backends" in told.text


def test_no_prefix_of_a_file_crashes_it(check):
    for size in range(0, len(GOOD), 7):
        assert check(GOOD[:size]).returncode in (0, 1)


def test_a_host_name_to_bind_to_is_refused_with_what_would_be_right(check):
    told = check(GOOD.replace("bind: 127.0.0.1:0", "bind: localhost:8443"))
    assert told.returncode == 1 and "localhost" in told.text


def test_paths_are_relative_to_the_file(check, tmp_path, certificate):
    (tmp_path / "here.crt").write_bytes(certificate.certificate.read_bytes())
    (tmp_path / "here.key").write_bytes(certificate.key.read_bytes())
    told = check(GOOD.replace("CERTIFICATE", "here.crt").replace("KEY", "here.key"))
    assert told.returncode == 0, told.text
