"""Every fault of a configuration is reported, with its place and what to write instead."""

import re

import pytest

from harness.tools import headgate_binary, is_on_awslc, run

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
        ("    bind: 127.0.0.1:0", "    bind: {ipv6_only: on}", r":3:11: .*bind\[0\]: needs .address"),
        ("127.0.0.1:0", "{address: '127.0.0.1:0', ipv6_only: on}", r":3:47: .*ipv6_only: .*no IPv6 address"),
        ("127.0.0.1:0", "{address: ':0', ipv6_only: maybe}", r":3:38: .*ipv6_only: .*on.*off"),
        ("127.0.0.1:0", "{address: ':0', mode: '0660'}", r":3:33: .*mode: has no effect"),
        ("127.0.0.1:0", "{address: 'unix:@x', group: '0'}", r":3:39: .*group: has no effect"),
        ("127.0.0.1:0", "{address: 'unix:/x', mode: '0999'}", r":3:38: .*mode: .*octal"),
        ("127.0.0.1:0", "{address: 'unix:/x', mode: u+rw}", r":3:38: .*mode: .*octal"),
        ("127.0.0.1:0", "{address: 'unix:/x', mode: '04755'}", r":3:38: .*mode: .*octal"),
        ("127.0.0.1:0", "{address: 'unix:/x', owner: no-such-user}", r":3:39: .*owner: there is no user"),
        ("127.0.0.1:0", "{address: 'unix:/x', group: no-such-group}", r":3:39: .*group: there is no group"),
        ("127.0.0.1:0", "[{address: ':1'}, {adress: ':2'}]", r":3:30: .*adress: unknown key; did you mean .address"),
        ("    backend: app", "    backend: nowhere", r":7:14: .*nowhere"),
        ("    backend: app", "    backend: app\n    timeouts: {idle: 30}", r":8:22: .*idle.*30s?"),
        ("    backend: app", "    backend: app\n    timeouts: {idle: 5 parsecs}", r":8:22: .*idle"),
        ("    backend: app", "    backend: app\n    backlog: many", r":8:14: .*backlog"),
        ("    backend: app", "    backend: app\n    starttls: mysql", r":7:14: .*mysql.*unix sockets"),
        ("    tls:", "    tls:\n      min_version: '1.1'", r":5:20: .*min_version"),
        ("    tls:", "    tls:\n      min_version: '1.3'\n      max_version: '1.2'", r"(min|max)_version"),
        ("    tls:", "    tls:\n      missing_name: refuse", r":5:21: .*missing_name.*serve_default.*reject"),
        ("    tls:", "    tls:\n      groups: [Q-999]", r":5:1[5-9]: .*Q-999"),
        ("    tls:", "    tls:\n      cipher_suites: [TLS_NONSENSE]", r":5:2[0-9]: .*TLS_NONSENSE"),
        ("    tls:", "    tls:\n      client_auth: {mode: required}", r"ca"),
        ("    tls:", "    tls:\n      client_auth: {by_name: [{mode: none}]}", r":5:31: .*by_name\[0\]: needs .sni"),
        ("    tls:", "    tls:\n      client_auth: {by_name: [{sni: a.test, mode: required}]}", r":5:31: .*needs .ca"),
        ("    tls:", "    tls:\n      client_auth: {by_name: [{sni: a.test, ca: x.pem}]}", r":5:31: .*mode is none"),
        ("    tls:", "    tls:\n      client_auth: {by_name: [{sni: a.*}]}", r":5:37: .*sni\[0\]: .*is not a name"),
        ("    tls:", "    tls:\n      client_auth: {by_name: [{sni: [a.test, A.test]}]}", r":5:46: .*already"),
        ("    tls:", "    tls:\n      client_auth: {by_name: [{sni: a.test, by_name: []}]}", r":5:45: .*unknown key"),
        ("    tls:", "    tls:\n      client_auth: {by_name: [{sni: a.test, mode: optional, ca: absent.pem}]}", r":5:65: .*by_name\[0\].ca: "),
        ("    tls:", "    tls:\n      client_auth: {allow: {public_key: abc}}", r":5:41: .*public_key"),
        ("    tls:", "    tls:\n      dry_run: [client_auth]", r":5:17: .*dry_run\[0\]: has no effect"),
        ("    tls:", "    tls:\n      dry_run: [client_authentication]", r":5:17: .*dry_run.*client_auth"),
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


def faults_in(text):
    """Without notes: OpenSSL may lack a group of the default, which is one."""
    return [line for line in text.splitlines() if ": note: " not in line]


def test_the_faults_of_the_text_do_not_hide_those_of_the_files(check):
    text = GOOD.replace("private_key: KEY", "private_key: /nonexistent.key") + "    balance: fair\n"
    text = text.replace("    backend: app", "    backend: app\n    timeouts: {idle: 30}")
    told = check(text)
    assert told.returncode == 1
    lines = faults_in(told.text)
    assert len(lines) == 3, told.text
    assert "private_key: /nonexistent.key: cannot open the file" in lines[0]
    assert "listeners[0].timeouts.idle" in lines[1]
    assert "backends.app.balance" in lines[2]


def test_a_file_that_a_faulty_key_names_is_not_reported_twice(check):
    told = check(GOOD.replace("certificate: CERTIFICATE", 'certificate: "a\\nb"'))
    assert told.returncode == 1
    assert len(faults_in(told.text)) == 1, told.text


def ciphers(check, text):
    told = check(GOOD.replace("    tls:\n", f"    tls:\n      ciphers: \"{text}\"\n"))
    return told.returncode, [line for line in told.text.splitlines() if ".tls.ciphers: " in line]


@pytest.mark.parametrize(
    "text, what",
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA265:HIGH", '"ECDHE-ECDSA-AES128-GCM-SHA265" .*did you mean "ECDHE-ECDSA-AES128-GCM-SHA256"'),
        ("HIGH:!aNUL", '"aNUL" .*did you mean "aNULL"'),
        ("HIHG:ECDHE+AESGCM", '"HIHG" .*did you mean "HIGH"'),
        ("ECDHE+AESGMC:HIGH", '"AESGMC" .*did you mean "AESGCM"'),
        ("HIGH,nothing-like-it", '"nothing-like-it" is no cipher'),
    ],
    ids=lambda value: value if " " not in value else None,
)
def test_a_mistyped_cipher_is_a_fault_although_openssl_passes_over_it(check, text, what):
    code, lines = ciphers(check, text)
    assert code == 1 and len(lines) == 1
    assert re.search(r"headgate\.yaml:5:16: listeners\[0\]\.tls\.ciphers: " + what, lines[0]), lines


@pytest.mark.parametrize(
    "text",
    [
        "HIGH:!aNULL:!eNULL:!EXPORT:!DES:!MD5:!PSK:!RC4:!LOW:!SSLv2:!3DES",
        "ECDHE+AESGCM:ECDHE+CHACHA20:+AES256:-SHA1:@STRENGTH",
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:!DES-CBC3-SHA",
        "DEFAULT@SECLEVEL=1",
        "DEFAULT:@SECLEVEL=1",
        "TLSv1.2+kECDHE",
    ],
)
def test_the_words_of_ciphers_that_are_in_use_are_no_fault(check, text):
    if is_on_awslc() and ("SECLEVEL" in text or "TLSv1.2" in text):
        pytest.skip("AWS-LC has no security levels, and no word for a version")
    assert ciphers(check, text) == (0, [])


def test_a_cipher_that_this_openssl_lacks_is_a_warning(check):
    code, lines = ciphers(check, "ECDHE+AESGCM:ECDHE-ECDSA-RC4-SHA")
    assert code == 0 and len(lines) == 1
    assert re.search(r'warning: (OpenSSL|AWS-LC) .* lacks the cipher "ECDHE-ECDSA-RC4-SHA", which is left out', lines[0]), lines


def test_a_word_for_ciphers_of_which_this_library_has_none_is_a_warning(check):
    code, lines = ciphers(check, "ECDHE+AESGCM:EXPORT:SSLv2:-LOW:CHACHA20+AESGCM:!CHACHA20+AES")
    assert code == 0 and len(lines) == 3
    for line, word in zip(sorted(lines), (r"CHACHA20\+AESGCM", "EXPORT", "SSLv2")):
        assert re.search(rf'warning: (OpenSSL|AWS-LC) .* has no cipher of the kind "{word}", which is left out', line), lines
    if is_on_awslc():
        code, lines = ciphers(check, "EECDH+AESGCM:DHE:aNULL:AESCCM:3DES:DES-CBC3-SHA")
        lacking = ["3DES", "AESCCM", "DES-CBC3-SHA", "DHE", "aNULL"]
        assert code == 0 and sorted(line.split('"')[1] for line in lines) == lacking


@pytest.mark.skipif(not is_on_awslc(), reason="OpenSSL has each suite that the configuration may name")
def test_a_cipher_suite_that_this_library_lacks_is_a_warning(check):
    def suites(*names):
        told = check(GOOD.replace("    tls:\n", f"    tls:\n      cipher_suites: [{', '.join(names)}]\n"))
        return told.returncode, told.text

    code, text = suites("TLS_AES_128_CCM_SHA256", "TLS_AES_128_GCM_SHA256")
    assert code == 0
    assert re.search(r"cipher_suites\[0\]: warning: AWS-LC .* lacks the cipher suite TLS_AES_128_CCM_SHA256, which", text), text
    code, text = suites("TLS_AES_128_CCM_SHA256")
    assert code == 1 and re.search(r"cipher_suites: AWS-LC .* has no cipher suite called TLS_AES_128_CCM_SHA256", text), text


@pytest.mark.parametrize("key, word", [("user", "there is no user"), ("group", "there is no group")])
def test_a_user_or_group_that_does_not_exist_is_a_fault(check, key, word):
    told = check(f"{key}: headgate-nobody-has-this\n" + GOOD)
    assert told.returncode == 1
    assert faults_in(told.text) == [
        line for line in told.text.splitlines() if f'headgate.yaml:1:{len(key) + 3}: {key}: {word} "headgate-nobody-has-this"' in line
    ]
    assert len(faults_in(told.text)) == 1, told.text


def test_faults_of_the_user_and_of_the_files_are_reported_together(check):
    told = check("user: headgate-nobody-has-this\n" + GOOD.replace("KEY", "/nonexistent.key") + "    balance: fair\n")
    lines = faults_in(told.text)
    assert [": user: " in lines[0], "/nonexistent.key" in lines[1], "balance" in lines[2]] == [True] * 3, told.text


def test_plain_text_on_both_sides_is_a_warning(check):
    plain = "listeners:\n  - {name: web, bind: 127.0.0.1:0, backend: app}\nbackends:\n  app: {servers: [127.0.0.1:8080]}\n"
    told = check(plain)
    assert told.returncode == 0
    assert 'headgate.yaml:2:45: listeners[0].backend: warning: nothing is encrypted between the clients and backend "app"' in told.text
    assert "nothing is encrypted" not in check(plain.replace("8080]}", "8080], tls: {}}")).text
    assert "nothing is encrypted" not in check(GOOD).text


def test_a_listener_that_is_its_own_backend_is_a_fault_and_does_not_start(check, tmp_path):
    told = check(GOOD.replace("127.0.0.1:0", "127.0.0.1:8443").replace("127.0.0.1:8080", "localhost:8443"))
    assert told.returncode == 1
    assert 'headgate.yaml:10:15: backends.app.servers[0]: "localhost:8443" is where listener "web" listens' in told.text
    assert run(headgate_binary(), "run", tmp_path / "headgate.yaml").returncode == 1


def test_faults_of_the_text_and_of_the_files_come_in_one_go(check):
    told = check(GOOD.replace("CERTIFICATE", "nope.crt").replace("KEY", "nope.key").replace("    backend: app", "    backend: ap"))
    lines = faults_in(told.text)
    assert told.returncode == 1 and len(lines) == 3, told.text
    assert re.search(r":6:25: listeners\[0\]\.tls\.certificates\[0\]\.certificate: .*nope.crt: ", lines[0]), lines
    assert re.search(r":6:48: listeners\[0\]\.tls\.certificates\[0\]\.private_key: .*nope.key: ", lines[1]), lines
    assert re.search(r':7:14: listeners\[0\]\.backend: there is no backend "ap"; did you mean "app"', lines[2]), lines


def test_a_mistyped_cipher_group_and_protocol_are_told_in_one_go(check):
    words = "      ciphers: ECDHE-ECDSA-AES128-GCM-SHA265:HIGH\n      groups: [P256, kyber]\n      alpn: [h2, http1.1]\n"
    told = check(GOOD.replace("    tls:\n", "    tls:\n" + words))
    assert told.returncode == 1
    for wanted in (r"\.ciphers: .*SHA265", r"\.groups\[0\]: .*P256", r"\.groups\[1\]: .*kyber", r"\.alpn\[1\]: warning: .*http1\.1"):
        assert re.search(wanted, told.text), (wanted, told.text)
