"""`headgate import`: what it refuses to read, what it says of each line, and its exit code. tests/interop/test_import.py runs
the translations beside the originals."""

import re

import pytest
import yaml

from harness.tools import headgate_binary, run

pytestmark = pytest.mark.once

HAPROXY = "frontend f\n  bind 127.0.0.1:8443 ssl crt /x.pem\n  default_backend b\nbackend b\n  server s 127.0.0.1:1\n"
HITCH = 'frontend = "[*]:8443"\nbackend = "[127.0.0.1]:80"\npem-file = "/x.pem"\n'
STUNNEL = "[s]\naccept = 8443\nconnect = 80\ncert = /x.pem\n"
NGINX = "stream {\n server { listen 127.0.0.1:8443 ssl; ssl_certificate /x.pem; ssl_certificate_key /x.pem; proxy_pass h:1; }\n}\n"
GHOSTUNNEL = "ghostunnel server --listen :8443 --target localhost:80 \\\n  --keystore /x.pem --disable-authentication\n"
BASES = {"haproxy": HAPROXY, "hitch": HITCH, "stunnel": STUNNEL, "nginx": NGINX, "ghostunnel": GHOSTUNNEL}


@pytest.fixture
def imported(tmp_path):
    def run_one(program, text, name="original.conf"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return run(headgate_binary(), "import", program, file)

    return run_one


def line_of(told, number, weight):
    """The remark about a line, without its place."""
    begin = f"original.conf:{number}: {weight}: "
    return [line.split(begin, 1)[1] for line in told.stderr.splitlines() if begin in line]


# --- the file itself


@pytest.mark.parametrize("program", BASES)
@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is empty"),
        (b" \r\n\t\n", "is empty"),
        (b"frontend f\n  bind \x00\x01\n", "line 2 has a control character"),
        (b"-----BEGIN " + b"PRIVATE KEY-----\nSECRET\n", "holds a key or a certificate"),
        (b"# x\n" * (17 << 18), "larger than 16 MiB"),
    ],
    ids=["empty", "blank", "binary", "key", "huge"],
)
def test_a_file_that_is_no_configuration_is_refused_with_a_reason(imported, program, content, words):
    told = imported(program, content)
    assert told.returncode == 1 and words in told.stderr, told
    assert told.stdout == "" and "SECRET" not in told.stderr


@pytest.mark.parametrize("program", BASES)
def test_a_file_that_cannot_be_read_is_refused_with_the_systems_reason(program, tmp_path):
    missing = run(headgate_binary(), "import", program, tmp_path / "missing")
    assert missing.returncode == 1 and "No such file" in missing.stderr
    directory = run(headgate_binary(), "import", program, tmp_path)
    assert directory.returncode == 1 and "is a directory" in directory.stderr


@pytest.mark.parametrize("program", BASES)
def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing(imported, program):
    plain = imported(program, BASES[program])
    other = imported(program, b"\xef\xbb\xbf" + BASES[program].replace("\n", "\r\n").encode())
    assert plain.returncode == 0, plain.stderr
    assert (other.stdout, other.returncode) == (plain.stdout, 0), other.stderr


@pytest.mark.parametrize("program", BASES)
def test_text_that_is_no_configuration_exits_1(imported, program):
    assert imported(program, "lorem ipsum dolor\n").returncode == 1


# --- exit codes and remarks


@pytest.mark.parametrize(
    "program, line, weight",
    [
        ("haproxy", "  tcp-request content reject if { ssl_fc_sni x }", "error"),
        ("haproxy", "  http-request deny if { src 10.0.0.0/8 }", "error"),
        ("haproxy", "  option pgsql-check user x", "error"),
        ("haproxy", "  some-directive-of-tomorrow", "error"),
        ("haproxy", '  server t "${HOST}:1"', "error"),
        ("haproxy", "  option tcplog", "note"),
        ("hitch", "proxy-proxy = on", "error"),
        ("hitch", 'some-key-of-tomorrow = "x"', "error"),
        ("hitch", "daemon = on", "note"),
        ("hitch", "not an entry", "error"),
        ("stunnel", "checkEmail = a@b.test\nverifyChain = yes\nCAfile = /ca.pem", "error"),
        ("stunnel", "verifyPeer = yes\nCAfile = /ca.pem", "error"),
        ("stunnel", "securityLevel = 4", "error"),
        ("stunnel", "include = /missing", "error"),
        ("stunnel", "libwrap = yes", "error"),
        ("stunnel", "someOptionOfTomorrow = x", "error"),
        ("stunnel", "not an option", "error"),
        ("stunnel", "debug = 7", "note"),
    ],
)
def test_a_line_that_is_not_carried_over_is_named_and_a_rule_exits_1(imported, program, line, weight):
    told = imported(program, BASES[program] + line + "\n")
    number = BASES[program].count("\n") + 1
    assert line_of(told, number, weight), told.stderr
    assert told.returncode == (1 if weight == "error" else 0), told.stderr
    assert ("# not carried over: " in told.stdout) == (weight == "error")


def test_words_within_a_line_are_named_one_by_one(imported):
    told = imported("haproxy", HAPROXY.replace("crt /x.pem", "crt /x.pem interface eth0 word-of-tomorrow"))
    assert {text.rsplit(" ", 1)[1] for text in line_of(told, 2, "error")} == {"interface", "eth0", "word-of-tomorrow"}
    assert told.returncode == 1


def test_no_secret_of_the_original_is_printed(imported):
    told = imported("haproxy", HAPROXY + "userlist u\n  user joe insecure-password SECRET\nfrontend g\n  stats auth a:SECRET\n")
    assert "SECRET" not in told.stderr + told.stdout
    told = imported("stunnel", STUNNEL + "protocolPassword = SECRET\nPSKsecrets = SECRET\n")
    assert "SECRET" not in told.stderr + told.stdout and told.returncode == 1


def test_relative_paths_begin_in_the_directory_of_the_original(imported, tmp_path):
    told = imported("hitch", HITCH.replace("/x.pem", "x.pem"))
    assert f'"{tmp_path}/x.pem"' in told.stdout
    bases = "global\n  crt-base certs\n  ca-base /cas\n" + HAPROXY.replace(
        "crt /x.pem", "crt x.pem verify required ca-file ca.pem"
    )
    told = imported("haproxy", bases)
    assert f'"{tmp_path}/certs/x.pem"' in told.stdout and '"/cas/ca.pem"' in told.stdout


def test_a_missing_list_of_certificates_is_an_error(imported):
    told = imported("haproxy", HAPROXY.replace("crt /x.pem", "crt-list /missing"))
    assert told.returncode == 1 and "cannot be read" in line_of(told, 2, "error")[0]


def test_help_says_what_the_exit_codes_are():
    assert "1 if one was not" in run(headgate_binary(), "import", "--help").stdout
    assert "1 if one was not" in run(headgate_binary(), "import", "hitch", "--help").stdout


# --- lines that one part of the file takes and another one needs


def lines_named(told):
    """The lines that stderr names, with their weight."""
    return {
        (int(number), weight)
        for number, weight in re.findall(r"^\S*original\.conf:(\d+): (error|note): ", told.stderr, re.MULTILINE)
    }


BACKEND = "backend b\n  server s 127.0.0.1:1\n"
PASSES = "frontend f\n  bind :8443\n  tcp-request content accept if { req.ssl_hello_type 1 }\n"
BY_NAME = "  use_backend b if { req.ssl_sni -i a.test }\n"


def test_a_rule_of_defaults_that_one_frontend_lacks_is_named(imported):
    text = "defaults d\n  tcp-request connection reject if { src 10.0.0.0/8 }\n"
    for port, proxy in (8443, ""), (8444, " accept-proxy"):
        text += f"frontend f{port} from d\n  bind :{port} ssl crt /x.pem{proxy}\n  default_backend b\n"
    told = imported("haproxy", text + BACKEND)
    assert (2, "error") in lines_named(told) and told.returncode == 1, told.stderr
    alone = imported("haproxy", text.replace(" accept-proxy", "") + BACKEND)
    assert (lines_named(alone), alone.returncode) == (set(), 0), alone.stderr
    assert alone.stdout.count('deny: ["10.0.0.0/8"]') == 2


def test_a_rule_that_one_bind_of_a_frontend_lacks_is_named(imported):
    text = "frontend f\n  bind :80\n  bind :8443 ssl crt /x.pem\n  tcp-request content reject if !{ req.ssl_hello_type 1 }\n"
    told = imported("haproxy", text + BY_NAME + BACKEND)
    assert (4, "error") in lines_named(told) and told.returncode == 1, told.stderr


@pytest.mark.parametrize("option", ["sslVersionMin = TLSv1.3", "ciphers = X", "options = NO_TLSv1.2", "curves = X25519"])
def test_an_option_of_stunnels_head_that_one_service_lacks_is_named(imported, option):
    server = "[a]\naccept = 8443\nconnect = 80\ncert = /x.pem\n"
    both = imported("stunnel", f"{option}\n{server}[c]\nclient = yes\naccept = 1\nconnect = h:2\n")
    assert (1, "error") in lines_named(both) and both.returncode == 1, both.stderr
    alone = imported("stunnel", f"{option}\n{server}")
    assert alone.returncode == 0, alone.stderr


@pytest.mark.parametrize(
    "program, lines",
    [
        ("haproxy", ["  default_backend c", "  default_backend b"]),
        ("haproxy", ["  timeout client 1s", "  timeout client 2s"]),
        ("hitch", ['ciphers = "A"', 'ciphers = "ECDHE-RSA-AES128-GCM-SHA256"']),
        ("hitch", ["tls-protos = TLSv1.2", "tls-protos = TLSv1.3"]),
        ("hitch", ['client-verify-ca = "/a"', "client-verify = required", 'client-verify-ca = "/b"']),
        ("stunnel", ["sslVersion = TLSv1.2", "sslVersion = TLSv1.3"]),
    ],
)
def test_a_line_that_a_later_one_replaces_is_named(imported, program, lines):
    base = HAPROXY.split("\n", 2)
    text = "\n".join([*base[:2], *lines, "  default_backend b", BACKEND]) if program == "haproxy" else None
    text = text or BASES[program] + "\n".join(lines) + "\n"
    first = text.splitlines().index(lines[0]) + 1
    told = imported(program, text)
    assert (first, "note") in lines_named(told), told.stderr


# --- lines that mean something else in Headgate


@pytest.mark.parametrize(
    "servers, weights, lines",
    [
        ("  server a h:1 weight 0\n  server b h:2 weight 3\n", {"h:1": 0, "h:2": 3}, set()),
        ("  default-server weight 0\n  server a h:1\n  server b h:2 weight 1\n", {"h:1": 0, "h:2": 1}, set()),
        # HAProxy sends to the spare server where no other may get a connection.
        ("  server a h:1 weight 0\n  server b h:2 backup\n", {"h:1": 0, "h:2": 1}, {(6, "error")}),
        ("  server a h:1 disabled\n  server b h:2\n", {"h:2": 1}, {(5, "error")}),
    ],
)
def test_a_server_of_weight_0_is_carried_over_and_gets_no_connection(imported, servers, weights, lines):
    told = imported("haproxy", HAPROXY.replace("  server s 127.0.0.1:1\n", servers))
    assert lines_named(told) == lines, told.stderr
    servers = yaml.safe_load(told.stdout)["backends"]["b"]["servers"]
    assert {one["address"]: one.get("weight", 1) for one in servers} == weights


def test_a_reject_for_all_that_are_not_tls_refuses_no_tls(imported):
    told = imported("haproxy", PASSES + "  tcp-request content reject\n" + BY_NAME + BACKEND)
    assert told.returncode == 0 and lines_named(told) == {(1, "note")}, told.stderr
    assert "a client that sends no TLS is refused" in told.stderr
    assert yaml.safe_load(told.stdout)["listeners"][0].get("deny", []) == []


def test_a_rule_behind_the_accept_of_all_tls_is_no_deny_and_is_named(imported):
    rule = "  tcp-request content reject if { src 10.0.0.0/8 }\n"
    told = imported("haproxy", PASSES + rule + BY_NAME + BACKEND)
    assert lines_named(told) == {(1, "note"), (4, "note")}, told.stderr
    assert yaml.safe_load(told.stdout)["listeners"][0].get("deny", []) == []
    before = imported("haproxy", PASSES.replace("  tcp-request", rule + "  tcp-request") + BY_NAME + BACKEND)
    assert yaml.safe_load(before.stdout)["listeners"][0]["deny"] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    "program, text, line",
    [
        # The end of a name is more than a star, which is one label.
        ("haproxy", HAPROXY.replace("  default", "  use_backend b if { ssl_fc_sni -m end .a.test }\n  default"), 3),
        ("stunnel", STUNNEL + "[t]\nsni = s:*.x.test\nconnect = 81\ncert = /y.pem\n", 6),
        ("haproxy", HAPROXY.replace("/x.pem", "/x.pem tls-ticket-keys /k"), 2),
        ("haproxy", HAPROXY.replace("127.0.0.1:1", "h:1 resolve-net 10.0.0.0/8"), 5),
        ("haproxy", HAPROXY.replace("/x.pem", "/x\\x2epem"), 2),
        ("haproxy", HAPROXY.replace("/x.pem", "'/x.pem"), 2),
        ("hitch", HITCH + "client = on\ntls-protos = TLSv1.3\n", 5),
        ("hitch", HITCH + 'client = on\nciphers = "A"\n', 5),
        ("hitch", HITCH + 'client-verify = "required\nclient-verify-ca = "/ca"\n', 4),
        ("stunnel", "[s] verifyChain = yes\n" + STUNNEL.split("\n", 1)[1], 1),
        ("stunnel", STUNNEL + "[t]\nsni = s:x.test\nconnect = 81\ncert = /y.pem\nTIMEOUTidle = 5\n", 9),
    ],
)
def test_a_line_that_would_mean_something_else_is_an_error(imported, program, text, line):
    told = imported(program, text)
    assert (line, "error") in lines_named(told) and told.returncode == 1, told.stderr


@pytest.mark.parametrize(
    "text, line",
    [
        ('pem-dir-glob = "*.x"\n', 4),
        ('client = on\nalpn-protos = "h2"\n', 5),
        ('pem-file = {\n cert = "/y.pem"\n client-verify-ca = "/ca.pem"\n}\n', 6),
    ],
)
def test_an_entry_of_hitch_without_effect_is_named(imported, text, line):
    told = imported("hitch", HITCH + text)
    assert (line, "note") in lines_named(told), told.stderr


# --- each known key alone

STUNNEL_OPTIONS = """
CAengine CAfile CApath CRLfile CRLpath EGD OCSP OCSPaia OCSPflag OCSPnonce PSKidentity PSKsecrets RNDbytes RNDfile RNDoverwrite
TIMEOUTbusy TIMEOUTclose TIMEOUTconnect TIMEOUTidle cert checkEmail checkHost checkIP chroot ciphers ciphersuites
config connect curves debug delay engine engineCtrl engineDefault engineId engineNum exec execArgs failover
foreground iconActive iconError iconIdle ident include key local log logId options output pid protocol
protocolAuthentication protocolDomain protocolHeader protocolHost protocolPassword protocolUsername pty redirect
renegotiation requireCert reset retry securityLevel service sessionCacheSize sessionCacheTimeout sessionResume sessiond setgid
setuid sni socket sslVersion sslVersionMax sslVersionMin stack syslog taskbar ticketKeySecret ticketMacSecret transparent verify
verifyChain verifyPeer libwrap fips client accept
""".split()
HITCH_KEYS = """
backlog chroot ciphers ciphersuites client-verify-ca group keepalive backend-refresh ocsp-dir ocsp-connect-tmo
ocsp-resp-tmo ocsp-refresh-interval ocsp-verify-staple pem-dir proxy-proxy log-level quiet ssl tls tls-protos ecdh-curve
sni-nomatch-abort ssl-engine syslog syslog-facility user workers write-ip write-proxy write-proxy-v1 write-proxy-v2 proxy-tlv
proxy-authority proxy-client-cert tcp-fastopen pidfile recv-bufsize send-bufsize log-filename ring-slots ring-data-len
session-cache shared-cache-listen shared-cache-peer shared-cache-if backend-connect-timeout ssl-handshake-timeout client-verify
backend pem-file client alpn-protos
""".split()


def named_or_carried(told, number, base):
    lines = [line for line in told.stderr.splitlines() if f"original.conf:{number}: " in line]
    return bool(lines) or yaml.safe_load(told.stdout) != yaml.safe_load(base.stdout)


@pytest.mark.parametrize("value", ["1", "yes", "a.b"])
def test_every_option_of_stunnel_is_carried_over_or_named(imported, value):
    base = imported("stunnel", STUNNEL)
    dropped = []
    for option in STUNNEL_OPTIONS:
        for key in (option, option.lower()):
            if not named_or_carried(imported("stunnel", STUNNEL + f"{key} = {value}\n"), 5, base):
                dropped.append(key)
    # These say what holds anyhow.
    assert set(dropped) <= {"sessionResume", "sessionresume"}, dropped


@pytest.mark.parametrize("value", ["3", "on", '"a.b"'])
def test_every_key_of_hitch_is_carried_over_or_named(imported, value):
    base = imported("hitch", HITCH)
    dropped = [
        key
        for key in HITCH_KEYS
        if not named_or_carried(imported("hitch", HITCH + f"{key} = {value}\n"), 4, base)
    ]
    assert not dropped


# --- hitch's rules for one certificate, which hitch 1.7 does not parse and so cannot stand beside Headgate


def client_auth(told, listener=0):
    return yaml.safe_load(told.stdout)["listeners"][listener]["tls"]["client_auth"]


def test_a_certificates_own_client_verify_holds(imported):
    block = 'pem-file = { cert = "/x.pem" client-verify = required client-verify-ca = "/ca.pem" }\n'
    told = imported("hitch", HITCH.replace('pem-file = "/x.pem"\n', block))
    assert told.returncode == 0, told.stderr
    assert client_auth(told)["mode"] == "required" and client_auth(told)["ca"] == "/ca.pem"


def test_where_certificates_differ_the_strictest_rule_holds_and_is_named(imported):
    block = 'pem-file = { cert = "/y.pem" client-verify = required client-verify-ca = "/ca.pem" }\n'
    told = imported("hitch", HITCH + block)
    assert told.returncode == 1 and "the strictest holds" in told.stderr
    assert client_auth(told)["mode"] == "required"
