"""A configuration of HAProxy, hitch or stunnel, and its translation by `headgate import`, side by side on the same clients.

Where the import says that all rules were carried over (exit code 0), every client must have the same outcome at both: the
same certificate and the same backend, or a refusal. Where it names a lost rule (exit code 1), the translation may refuse
clients that the original serves, but must serve none that the original refuses.
"""

import re

import pytest
import yaml

from harness.side_by_side import NAMES, filled, plain_outcome
from harness.tools import headgate_binary, run, tool

pytestmark = pytest.mark.once

# --- HAProxy

HAPROXY = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
"""
HAPROXY_BACKENDS = """
backend one
  server s @one@
backend two
  server s @two@
"""


@pytest.mark.parametrize(
    "bind",
    [
        ":@port@",
        "*:@port@",
        ":::@port@",
        "[::]:@port@ v6only",
        "[::]:@port@ v4v6",
        "127.0.0.1:@port@,[::1]:@port@",
        "ipv6@:@port@ v6only",
    ],
)
def test_haproxys_binds_reach_the_same_clients(compare, bind):
    address, *options = bind.split(" ")
    frontend = f"frontend f\n  bind {address} ssl crt @a@ {' '.join(options)}\n  default_backend one\n"
    compare("haproxy", HAPROXY + frontend + HAPROXY_BACKENDS)


def test_haproxys_pair_of_an_ipv4_and_an_ipv6_bind_reaches_the_same_clients(compare):
    frontend = """
frontend f
  bind 0.0.0.0:@port@ ssl crt @a@
  bind [::]:@port@ v6only ssl crt @a@
  default_backend one
"""
    compare("haproxy", HAPROXY + frontend + HAPROXY_BACKENDS)


@pytest.mark.parametrize(
    "options",
    [
        "no-tlsv12",
        "no-tlsv13",
        "force-tlsv12",
        "ssl-min-ver TLSv1.3",
        "ssl-max-ver TLSv1.2",
        "no-sslv3 no-tlsv10 no-tlsv11",
        "no-tls-tickets",
        "ciphers ECDHE-ECDSA-AES256-GCM-SHA384 ciphersuites TLS_AES_128_GCM_SHA256 curves P-256",
    ],
)
@pytest.mark.parametrize("place", ["bind", "global"])
def test_haproxys_rules_of_tls_hold(compare, options, place):
    if place == "bind":
        text = f"frontend f\n  bind :::@port@ ssl crt @a@ {options}\n  default_backend one\n"
    elif "ciphers" in options:
        text = "frontend f\n  bind :::@port@ ssl crt @a@\n  default_backend one\n"
        text = "global\n  ssl-default-bind-ciphers ECDHE-ECDSA-AES256-GCM-SHA384\n" + HAPROXY + text
        return compare("haproxy", text + HAPROXY_BACKENDS)
    else:
        text = "frontend f\n  bind :::@port@ ssl crt @a@\n  default_backend one\n"
        return compare("haproxy", f"global\n  ssl-default-bind-options {options}\n" + HAPROXY + text + HAPROXY_BACKENDS)
    return compare("haproxy", HAPROXY + text + HAPROXY_BACKENDS)


@pytest.mark.parametrize(
    "options",
    [
        "verify required ca-file @ca@",
        "verify optional ca-file @ca@",
        "verify required ca-file @ca@ crl-file @crl@",
        "verify none ca-file @ca@",
        "ca-file @ca@",
    ],
)
def test_haproxys_clients_need_the_same_certificates(compare, world, options):
    text = f"frontend f\n  bind :::@port@ ssl crt @a@ {options}\n  default_backend one\n"
    compare("haproxy", HAPROXY + text + HAPROXY_BACKENDS, certificates=world.clients)


def test_haproxys_routes_by_name_lead_to_the_same_backends(compare):
    text = """
frontend f
  bind :::@port@ ssl crt @a@ crt @b@
  acl is_b ssl_fc_sni -i b.test
  use_backend two if is_b
  use_backend two if { req.ssl_sni a.test }
  default_backend one
"""
    compare("haproxy", HAPROXY + text + HAPROXY_BACKENDS)


def test_haproxys_route_by_the_end_of_a_name_is_one_label_and_named(compare):
    text = """
frontend f
  bind :::@port@ ssl crt @a@ crt @b@
  acl is_c ssl_fc_sni_end .c.test
  use_backend two if is_c
  default_backend one
"""
    compare("haproxy", HAPROXY + text + HAPROXY_BACKENDS, lost=True, names=[*NAMES, "x.c.test"])


@pytest.mark.parametrize(
    "rules, lost",
    [
        ("tcp-request connection reject if { src 127.0.0.0/8 }", False),
        ("tcp-request content reject unless { src ::1 }", False),
        ("acl inner src 127.0.0.1/8\n  tcp-request connection reject if !inner", False),
        ("tcp-request connection accept if { src 127.0.0.1 }\n  tcp-request connection reject", False),
        ("tcp-request connection accept if { src 127.0.0.1 }\n  tcp-request connection reject if { src 127.0.0.0/8 }", True),
        ("tcp-request connection silent-drop if { src 127.0.0.0/8 }", False),
        ("tcp-request connection reject if !{ src ::/64 }", False),
    ],
)
def test_haproxys_rules_about_sources_hold_or_are_named(compare, rules, lost):
    text = f"frontend f\n  bind :::@port@ ssl crt @a@\n  {rules}\n  default_backend one\n"
    compare("haproxy", HAPROXY + text + HAPROXY_BACKENDS, lost=lost)


@pytest.mark.parametrize("network", ["::/0", "::/1", "::/64"])
def test_haproxys_networks_of_ipv6_that_hold_ipv4_refuse_it(compare, network):
    text = f"frontend f\n  bind :::@port@ ssl crt @a@\n  tcp-request connection reject if {{ src {network} }}\n"
    compare("haproxy", HAPROXY + text + "  default_backend one\n" + HAPROXY_BACKENDS, serves=False)


@pytest.mark.parametrize("crt", ["crt @certificates@", "crt @b@ crt @certificates@", "crt @certificates@/"])
def test_haproxys_directories_have_the_same_default(compare, crt):
    text = f"frontend f\n  bind :::@port@ ssl {crt}\n  default_backend one\n"
    compare("haproxy", HAPROXY + text + HAPROXY_BACKENDS)


def test_haproxys_listen_sections_defaults_and_disabled_sections_are_the_same(compare):
    text = """
defaults base
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  default_backend two
listen l
  bind 127.0.0.1:@port@ ssl crt @a@
  server s @one@
listen off from base
  disabled
  bind [::1]:@port@ ssl crt @b@
  server s @two@
"""
    compare("haproxy", text + HAPROXY_BACKENDS)


def test_haproxys_strict_sni_serves_no_name_that_haproxy_refuses(compare):
    text = "frontend f\n  bind :::@port@ ssl crt @a@ crt @b@ strict-sni\n  default_backend one\n"
    compare("haproxy", HAPROXY + text + HAPROXY_BACKENDS)


@pytest.mark.parametrize(
    "line", ["@b@ [verify required ca-file @ca@] b.test", "@b@ [ssl-min-ver TLSv1.3]", "@b@"]
)
def test_haproxys_lists_of_certificates_open_nothing(compare, world, line, tmp_path):
    certificates = tmp_path / "list"
    certificates.write_text(filled(f"@a@\n{line}\n", world.words))
    text = f"frontend f\n  bind :::@port@ ssl crt-list {certificates}\n  default_backend one\n"
    compare("haproxy", HAPROXY + text + HAPROXY_BACKENDS, lost="[" in line, certificates=world.clients)


# --- hitch

HITCH = 'backend = "[127.0.0.1]:@one_port@"\n@user@\n'


@pytest.mark.parametrize("frontend", ["[*]:@port@", "[127.0.0.1]:@port@", "[::1]:@port@", "[*]:@port@+@c@"])
def test_hitchs_last_certificate_is_the_default_and_a_frontends_own_comes_first(compare, frontend):
    compare("hitch", HITCH + f'frontend = "{frontend}"\npem-file = "@a@"\npem-file = "@b@"\npem-file = "@c@"\n')


@pytest.mark.parametrize(
    "frontends",
    [
        'frontend = "[::]:@port@"',
        'frontend = "[0::0]:@port@+@b@"',
        'frontend = { host = "::" port = "@port@" }',
        'frontend = "[::]:@port@"\nfrontend = "[0.0.0.0]:@port@"',
    ],
)
def test_hitchs_frontend_on_every_ipv6_address_takes_no_ipv4(compare, frontends):
    compare("hitch", HITCH + f'{frontends}\npem-file = "@a@"\n')


@pytest.mark.parametrize("match", ["", "match-global-certs = on", "match-global-certs = off"])
@pytest.mark.parametrize("abort", ["", "sni-nomatch-abort = on"])
def test_hitchs_frontends_have_their_own_certificates(compare, match, abort):
    text = f"""
frontend = {{
  host = "*"
  port = "@port@"
  pem-file = "@b@"
  {match}
  {abort}
}}
pem-file = "@a@"
"""
    compare("hitch", HITCH + text)


@pytest.fixture
def rules_in_pem_file():
    """hitch 1.7 does not parse `client-verify` in a `pem-file` block."""
    version = run(tool("hitch"), "--version").stdout.split()[1]
    if tuple(map(int, version.split(".")[:2])) < (1, 8):
        pytest.skip(f"hitch {version} has no client-verify for one certificate")


@pytest.mark.parametrize(
    "own, lost",
    [
        ('client-verify = required client-verify-ca = "@ca@"', False),
        ('client-verify = optional client-verify-ca = "@ca@"', False),
        ('client-verify = none client-verify-ca = "@ca@"', False),
    ],
)
def test_hitchs_certificate_asks_for_the_same_clients(compare, world, own, lost, rules_in_pem_file):
    text = f'frontend = "[*]:@port@"\npem-file = {{ cert = "@a_crt@" private-key = "@a_key@" {own} }}\n'
    compare("hitch", HITCH + text, lost=lost, certificates=world.clients)


def test_hitchs_rules_for_one_certificate_alone_open_nothing(compare, world, rules_in_pem_file):
    text = """
frontend = "[*]:@port@"
pem-file = { cert = "@b@" client-verify = required client-verify-ca = "@ca@" }
pem-file = "@a@"
"""
    compare("hitch", HITCH + text, lost=True, certificates=world.clients)


@pytest.mark.parametrize("of_frontend", ["none", "optional", "required"])
@pytest.mark.parametrize("own", ["", 'pem-file = "@b@"'])
def test_hitchs_frontend_asks_no_fewer_clients(compare, world, of_frontend, own):
    text = f"""
client-verify = optional
client-verify-ca = "@ca@"
frontend = {{
  host = "*"
  port = "@port@"
  client-verify = {of_frontend}
  {own}
}}
pem-file = "@a@"
"""
    lost = not own and of_frontend != "optional"
    compare("hitch", HITCH + text, lost=lost, certificates=("none", "good", "foreign"))


@pytest.mark.parametrize(
    "line",
    [
        "tls-protos = TLSv1.2",
        "tls-protos = TLSv1.3",
        "tls-protos = TLSv1.2 TLSv1.3",
        'ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"',
        'ciphers = ""',
        'alpn-protos = ""',
        'ecdh-curve = "P-256"',
        "prefer-server-ciphers = on",
        "sni-nomatch-abort = on",
    ],
)
def test_hitchs_settings_mean_the_same(compare, line):
    compare("hitch", HITCH + f'frontend = "[*]:@port@"\npem-file = "@a@"\n{line}\n')


def test_hitchs_directory_has_the_same_default(compare):
    compare("hitch", HITCH + 'frontend = "[*]:@port@"\npem-dir = "@certificates@"\n')


# --- stunnel

STUNNEL = "foreground = yes\npid =\nsyslog = no\n[s]\naccept = @accept@\nconnect = @one@\ncert = @a@\n"


@pytest.mark.parametrize("accept", ["@port@", ":::@port@", "127.0.0.1:@port@", "::1:@port@"])
def test_stunnel_accepts_the_same_clients(compare, accept):
    compare("stunnel", STUNNEL.replace("@accept@", accept))


@pytest.mark.parametrize("value", ["yes", "1", "no", "0"])
def test_stunnels_sockets_for_ipv6_alone_take_no_ipv4(compare, value):
    compare("stunnel", f"socket = a:IPV6_V6ONLY={value}\n" + STUNNEL.replace("@accept@", ":::@port@"))


@pytest.mark.parametrize(
    "options, lost",
    [
        ("verifyChain = yes", False),
        ("verifyChain = yes\nrequireCert = no", False),
        ("requireCert = no\nverifyChain = yes", False),
        ("verifyChain = no", False),
        ("verify = 0", False),
        ("verify = 1", False),
        ("verify = 2", False),
        ("verifyChain = yes\nCRLfile = @crl@", False),
        ("verifyChain = yes\ncheckHost = good.test", False),
        ("verifyChain = yes\nverify = 0", False),
        ("verifyChain = yes\nverify = 1", False),
        ("verify = 1\nverifyChain = yes", False),
        ("verify = 2\nverify = 0", False),
        ("verify = 0\nverify = 2", False),
        ("verify = 2\ncheckHost = other.test\ncheckHost = second.test", False),
    ],
)
def test_stunnels_clients_need_the_same_certificates(compare, world, options, lost):
    text = STUNNEL.replace("@accept@", ":::@port@") + f"CAfile = @ca@\n{options}\n"
    compare("stunnel", text, lost=lost, certificates=world.clients)


@pytest.mark.parametrize(
    "options",
    [
        "options = NO_TLSv1_2",
        "options = NO_TLSv1_3",
        "sslVersion = TLSv1.2",
        "sslVersion = TLSv1.3",
        "sslVersionMin = TLSv1.3",
        "sslVersionMax = TLSv1.2",
        "ciphers = ECDHE-ECDSA-AES128-GCM-SHA256",
        "curves = P-256",
        "sessionResume = no",
        "key = @a@",
        "cert = @b@\nkey = @b@",
    ],
)
def test_stunnels_rules_of_tls_hold(compare, options):
    compare("stunnel", STUNNEL.replace("@accept@", ":::@port@") + options + "\n")


@pytest.mark.parametrize("verify, lost", [("", False), ("verifyChain = yes\nCAfile = @ca@\n", True)])
def test_stunnels_services_by_name_open_nothing(compare, world, verify, lost):
    text = STUNNEL.replace("@accept@", ":::@port@") + f"[n]\nsni = s:b.test\ncert = @b@\nconnect = @two@\n{verify}"
    compare("stunnel", text, lost=lost, certificates=("none", "good", "foreign"))


# --- plaintext before a server with TLS, whose certificate is that of a.test


@pytest.mark.parametrize(
    "options, serves",
    [
        ("verify none", True),
        ("ca-file @ca@ sni str(a.test)", True),
        ("verify required ca-file @ca@ verifyhost a.test", True),
        ("verify required ca-file @ca@ verifyhost b.test", False),
        ("verify required ca-file @other_ca@ sni str(a.test)", False),
        ("ssl-min-ver TLSv1.2 no-tlsv11 verify none", True),
    ],
)
def test_haproxys_servers_are_verified_alike(compare, options, serves):
    text = f"frontend f\n  bind :::@port@\n  default_backend b\nbackend b\n  server s @tls@ ssl {options}\n"
    compare("haproxy", HAPROXY + text, names=["a.test"], ask=plain_outcome, serves=serves)


@pytest.mark.parametrize("default", ["verify none", "verify required ca-file @other_ca@"])
def test_haproxys_default_server_holds_for_servers(compare, default):
    text = f"frontend f\n  bind :::@port@\n  default_backend b\nbackend b\n  default-server ssl {default}\n  server s @tls@\n"
    compare("haproxy", HAPROXY + text, names=["a.test"], ask=plain_outcome, serves=default == "verify none")


@pytest.mark.parametrize(
    "options, serves",
    [
        ("", True),
        ("verifyChain = yes\nCAfile = @ca@\ncheckHost = a.test", True),
        ("verifyChain = yes\nCAfile = @ca@\ncheckHost = b.test", False),
        ("verify = 2\nCAfile = @other_ca@\ncheckHost = a.test", False),
    ],
)
def test_stunnels_servers_are_verified_alike(compare, options, serves):
    text = f"foreground = yes\npid =\nsyslog = no\n[s]\nclient = yes\naccept = :::@port@\nconnect = @tls@\n{options}\n"
    compare("stunnel", text, names=["a.test"], ask=plain_outcome, serves=serves)


# --- every keyword that the installed HAProxy has

# What Headgate does whatever they say, and what says nothing by itself: maxqueue without maxconn.
ALWAYS_SO = {
    "maxqueue",
    "v4v6", "v6only", "no-sslv3", "no-tlsv10", "no-tlsv11", "ssl", "enabled", "no-backup", "no-check", "no-send-proxy",
    "no-send-proxy-v2", "no-send-proxy-v2-ssl", "no-send-proxy-v2-ssl-cn", "no-ssl",
}  # fmt: skip
READ_IN_GLOBAL = {
    "ca-base", "crt-base", "hard-stop-after", "nbthread", "ssl-default-bind-ciphers", "ssl-default-bind-ciphersuites",
    "ssl-default-bind-curves",
}  # fmt: skip


def keywords():
    """(place, keyword with a value) of each line of `haproxy -dKcfg`: "bind <addr> ssl alpn +1"."""
    place = None
    for line in run(tool("haproxy"), "-dKcfg", "-q", "-c", "-f", "/dev/null").stdout.splitlines():
        words = line.split()
        if line.startswith("#") or not words:
            continue
        if not line[0].isspace():
            place = words[0]
        elif words[0] in ("bind", "server"):
            value = ["2"] if words[-1].startswith("+") else []
            name = [word for word in words[1:] if not word.startswith(("<", "+"))]
            yield words[0], name[-1], value
        else:
            end = words.index("[") if "[" in words else len(words)
            yield place, " ".join(words[:end]).rstrip("*"), ["1"]


def named_lines(told):
    return {int(line.split(":")[1]) for line in told.stderr.splitlines() if re.match(r"[^:]+:\d+: (error|note): ", line)}


def test_every_keyword_of_haproxy_is_carried_over_or_named(tmp_path):
    wanted = list(keywords())
    assert len(wanted) > 300, "haproxy -dKcfg says less than it did"
    lines, places = ["global"], {}
    for place, name, value in wanted:
        if place == "global":
            lines.append(f"  {name} {' '.join(value)}")
            places[len(lines)] = (place, name)
    lines += ["defaults", "  mode tcp", "backend base", "  server s 127.0.0.1:1"]
    lines += ["frontend base", "  bind 127.0.0.1:65000 ssl crt /x.pem", "  default_backend base"]
    for index, (place, name, value) in enumerate(wanted):
        word = f"{name} {' '.join(value)}"
        if place == "bind":
            lines += [f"frontend f{index}", "  default_backend base", f"  bind 127.0.0.1:{10000 + index} ssl crt /x.pem {word}"]
        elif place == "server":
            lines += [f"backend b{index}", f"  server s 127.0.0.1:1 {word}"]
        elif place == "listen":
            lines += [f"listen l{index}", f"  bind 127.0.0.1:{10000 + index} ssl crt /x.pem", "  server s 127.0.0.1:1", f"  {word}"]
        else:
            continue
        places[len(lines)] = (place, name, index)
    file = tmp_path / "haproxy.cfg"
    file.write_text("\n".join(lines) + "\n")
    told = run(headgate_binary(), "import", "haproxy", file)
    named = named_lines(told)
    config = yaml.safe_load(told.stdout)
    listeners = {listener["name"]: listener for listener in config["listeners"]}
    dropped = []
    for line, (place, name, *index) in places.items():
        if line in named or name in ALWAYS_SO or (place == "global" and name in READ_IN_GLOBAL):
            continue
        if place in ("bind", "listen"):
            own, base = listeners[f"{'f' if place == 'bind' else 'l'}{index[0]}"], listeners["base"]
        elif place == "server":
            own, base = config["backends"][f"b{index[0]}"], config["backends"]["base"]
        else:
            own = base = {}
        if {**own, "name": 0, "bind": 0, "backend": 0} == {**base, "name": 0, "bind": 0, "backend": 0}:
            dropped.append(f"{place}: {name}")
    assert not dropped, dropped
