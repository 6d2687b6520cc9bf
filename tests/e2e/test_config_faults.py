"""Every fault of a configuration is reported, with its place and what to write instead."""

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
    """Runs `check` on a file with the given text; `text` of the result is all that it printed."""

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


DIRECTORY = "      certificate_dirs: [many]\n"
CLIENT_AUTH = "      client_auth: {mode: required, ca: AUTHORITY, crl: list.pem}\n"


@pytest.mark.parametrize(
    "file, content, lines, place",
    [
        ("half.crt", "-----BEGIN CERTIFICATE-----\nMIIB\n", "", r":6:25: listeners\[0\]\.tls\.certificates\[0\]\.certificate: "),
        ("half.key", "-----BEGIN PRIVATE KEY-----\nMIIB\n", "", r":6:\d+: listeners\[0\]\.tls\.certificates\[0\]\.private_key: "),
        ("staple.der", "no response", "", r":6:\d+: listeners\[0\]\.tls\.certificates\[0\]\.ocsp_staple: "),
        ("many/half.pem", "half", DIRECTORY, r":7:26: listeners\[0\]\.tls\.certificate_dirs\[0\]: warning: "),
        ("ca.pem", "half", "      client_auth: {mode: required, ca: ca.pem}\n", r":7:41: listeners\[0\]\.tls\.client_auth\.ca: "),
        ("list.pem", "half", CLIENT_AUTH, r":7:\d+: listeners\[0\]\.tls\.client_auth\.crl: "),
        ("secret", "half", "      resumption: {secret_file: secret}\n", r":7:33: listeners\[0\]\.tls\.resumption\.secret_file: "),
    ],
    ids=lambda value: value if "." in value and len(value) < 20 else None,
)  # fmt: skip
def test_a_fault_of_a_file_is_at_the_key_that_names_it(
    check, authority, tmp_path, certificate, file, content, lines, place
):
    (tmp_path / "many").mkdir()
    (tmp_path / file).write_text(content)
    (tmp_path / file).chmod(0o600)
    entry = {"certificate": certificate.certificate, "private_key": certificate.key}
    for ending, key in {".crt": "certificate", ".key": "private_key", ".der": "ocsp_staple"}.items():
        if file.endswith(ending):
            entry[key] = file
    written = ", ".join(f"{key}: {value}" for key, value in entry.items())
    text = GOOD.replace("{certificate: CERTIFICATE, private_key: KEY}\n", "{" + written + "}\n" + lines)
    told = check(text.replace("AUTHORITY", str(authority.file)))
    assert told.returncode == (0 if "warning: " in place else 1), told.text
    assert re.search(r"headgate\.yaml" + place + ".*" + re.escape(file) + ": ", told.text), told.text


def test_ciphers_that_openssl_does_not_take_are_a_fault_of_their_key(check):
    told = check(GOOD.replace("    tls:\n", "    tls:\n      ciphers: NONSENSE\n"))
    assert told.returncode == 1
    assert re.search(r"headgate\.yaml:5:16: listeners\[0\]\.tls\.ciphers: .*NONSENSE", told.text), told.text


def test_a_client_certificate_for_a_backend_has_its_place_too(check):
    told = check(GOOD + "    tls: {certificate: absent.crt}\n")
    assert told.returncode == 1
    assert re.search(r"headgate\.yaml:11:24: backends\.app\.tls\.certificate: .*absent\.crt: ", told.text), told.text
