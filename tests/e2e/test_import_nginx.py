"""`headgate import nginx`: what becomes of each directive. tests/interop/test_import_nginx.py runs translations beside nginx."""

import re

import pytest
import yaml

from harness.tools import headgate_binary, run

pytestmark = pytest.mark.once

SERVER = "    listen 127.0.0.1:8443 ssl;\n    ssl_certificate x.pem;\n    ssl_certificate_key x.key;\n    proxy_pass 127.0.0.1:1;\n"
BASE = "stream {\n  server {\n" + SERVER + "  }\n}\n"


@pytest.fixture
def imported(tmp_path):
    def run_one(text):
        file = tmp_path / "nginx.conf"
        file.write_text(text)
        told = run(headgate_binary(), "import", "nginx", file)
        assert "Traceback" not in told.stderr
        return told

    return run_one


def in_server(*lines, base=BASE):
    """`base` with more lines in its server; the first is line 7."""
    return base.replace("  }\n}\n", "".join(f"    {line}\n" for line in lines) + "  }\n}\n")


def in_stream(*lines, base=BASE):
    """`base` with more lines in `stream`; the first is line 2."""
    return base.replace("stream {\n", "stream {\n" + "".join(f"  {line}\n" for line in lines))


def named(told, weight="error"):
    """The lines that stderr names, by number."""
    return {int(n): text for n, text in re.findall(rf"^\S*nginx\.conf:(\d+): {weight}: (.*)$", told.stderr, re.MULTILINE)}


def listener(told, index=0):
    return yaml.safe_load(told.stdout)["listeners"][index]


def test_only_what_differs_from_the_defaults_is_printed(imported, tmp_path):
    told = imported(BASE)
    assert told.returncode == 0, told.stderr
    assert yaml.safe_load(told.stdout) == {
        "listeners": [
            {
                "name": "server-1",
                "bind": [{"address": "127.0.0.1:8443"}],
                "tls": {
                    "certificates": [{"certificate": f"{tmp_path}/x.pem", "private_key": f"{tmp_path}/x.key"}],
                    "resumption": {"lifetime": "5m"},
                },
                "timeouts": {"idle": "10m"},
                "backend": "127.0.0.1-1",
            }
        ],
        "backends": {"127.0.0.1-1": {"servers": [{"address": "127.0.0.1:1"}]}},
    }


@pytest.mark.parametrize(
    "line, weight",
    [
        ("some_directive_of_tomorrow on;", "error"),
        ("ssl_session_ticket_key k;", "error"),
        ("ssl_password_file p;", "error"),
        ("ssl_reject_handshake on;", "error"),
        ("ssl_conf_command SignatureAlgorithms ed25519;", "error"),
        ("ssl_conf_command Options AllowNoDHEKEX;", "error"),
        ("ssl_protocols TLSv1.2 TLSv9;", "error"),
        ("ssl_verify_client maybe;", "error"),
        ("server_name a.test;", "error"),
        ("allow unix:;", "error"),
        ("deny nonsense;", "error"),
        ("limit_conn nowhere 5;", "error"),
        ("proxy_bind $server_addr;", "error"),
        ("proxy_ssl on; proxy_ssl_crl c;", "error"),
        ("proxy_download_rate 1k;", "error"),
        ("js_access f;", "error"),
        ("access_log off;", "note"),
        ("ssl_session_cache shared:a:1m;", "note"),
        ("ssl_client_certificate c;", "note"),
        ("proxy_ssl_verify on;", "note"),
        ("set_real_ip_from 10.0.0.0/8;", "note"),
        ("tcp_nodelay off;", "note"),
    ],
)
def test_a_line_that_is_not_carried_over_is_named_and_a_rule_exits_1(imported, line, weight):
    told = imported(in_server(line))
    assert 7 in named(told, weight), told.stderr
    assert told.returncode == (1 if weight == "error" else 0), told.stderr


@pytest.mark.parametrize(
    "text, line",
    [
        (BASE.replace("listen 127.0.0.1:8443 ssl;", "listen 127.0.0.1:8443 ssl udp;"), 3),
        (BASE.replace("listen 127.0.0.1:8443 ssl;", "listen web.example.com:8443 ssl;"), 3),
        (BASE.replace("listen 127.0.0.1:8443 ssl;", "listen 127.0.0.1:8443 ssl setfib=1;"), 3),
        (BASE.replace("x.pem", "$ssl_server_name.pem"), 4),
        (BASE.replace("x.key", "engine:pkcs11:x"), 5),
        (BASE.replace("127.0.0.1:1;", "$ssl_preread_server_name:443;"), 6),
        (BASE.replace("127.0.0.1:1;", "nowhere;"), 6),
        (BASE.replace("    proxy_pass 127.0.0.1:1;\n", ""), 2),
        (BASE.replace("    proxy_pass 127.0.0.1:1;\n", "    return 200;\n"), 6),
        (BASE + "http {\n  server { listen 80; }\n}\n", 9),
        (BASE + "mail { }\n", 9),
        (BASE + "include missing.conf;\n", 9),
        (BASE + "events { }\n}\n", 10),
        (BASE.replace("8443 ssl;", "8443 ssl"), 3),
        (BASE.replace("x.pem", '"x.pem'), 4),
        ("events { }\n", 1),
        ("stream {\n}\n", 1),
        (in_server("proxy_timeout 1s;", "proxy_timeout 2s;"), 8),
        (BASE[:-2] + "  server { listen 127.0.0.1:8443; proxy_pass 127.0.0.1:2; }\n}\n", 8),
        (in_stream("split_clients $remote_addr $x { 50% a; * b; }"), 2),
        (in_stream("map $remote_addr $x { default 127.0.0.1:1; }").replace("pass 127.0.0.1:1", "pass $x"), 2),
    ],
)
def test_a_line_that_would_mean_something_else_is_an_error(imported, text, line):
    told = imported(text)
    assert line in named(told) and told.returncode == 1, told.stderr


# --- maps and upstreams


def routed(*entries, variable="$ssl_preread_server_name", tls=False):
    text = in_stream(f"map {variable} $x {{", *entries, "}").replace("pass 127.0.0.1:1", "pass $x")
    return text if tls else in_server("ssl_preread on;", base=text.replace(" ssl;", ";"))


def test_a_map_of_names_becomes_routes_whole_names_first(imported):
    told = imported(routed("hostnames;", "*.b.test 127.0.0.1:2;", "A.test 127.0.0.1:1;", "c.test 127.0.0.1:1;", "default 127.0.0.1:3;"))
    assert [(one["sni"], one["backend"], one["passthrough"]) for one in listener(told)["routes"]] == [
        (["a.test", "c.test"], "127.0.0.1-1", True),
        (["*.b.test"], "127.0.0.1-2", True),
        (["*"], "127.0.0.1-3", True),
    ]
    assert set(named(told)) == {4} and "one label" in named(told)[4]
    assert "tls" not in listener(told)


@pytest.mark.parametrize(
    "entry, weight",
    [
        ("~^(www|api)\\.a\\.test$ 127.0.0.1:1;", "error"),
        ("a.* 127.0.0.1:1;", "error"),
        ("a.test $other;", "error"),
        ("a.test nowhere;", "error"),
        ('"" 127.0.0.1:9;', "error"),
        ('"" 127.0.0.1:3;', None),
        ("volatile;", None),
    ],
)
def test_an_entry_of_a_map_is_carried_over_or_named(imported, entry, weight):
    told = imported(routed("hostnames;", "default 127.0.0.1:3;", entry))
    assert (5 in named(told)) == (weight == "error"), told.stderr
    assert told.returncode == (1 if weight == "error" else 0), told.stderr


def test_a_map_of_protocols_becomes_routes(imported):
    entries = ("h2 127.0.0.1:1;", "imap 127.0.0.1:2;", "default 127.0.0.1:3;")
    text = routed(*entries, variable="$ssl_alpn_protocol", tls=True).replace("pass $x;", "pass $x; ssl_alpn h2 http/1.1;")
    told = imported(text)
    assert listener(told)["routes"] == [{"alpn": ["h2"], "backend": "127.0.0.1-1"}]
    assert listener(told)["backend"] == "127.0.0.1-3" and told.returncode == 0, told.stderr
    assert "ssl_alpn does not offer" in named(told, "note")[4]


def test_a_map_that_nginx_finds_empty_is_its_default(imported):
    told = imported(routed("a.test 127.0.0.1:1;", "default 127.0.0.1:3;", tls=True))
    assert listener(told)["backend"] == "127.0.0.1-3" and "routes" not in listener(told), told.stdout


def test_upstreams_keep_weights_bounds_and_balance(imported):
    upstream = "upstream u { least_conn; server h:1 weight=3 max_conns=50 max_fails=2 fail_timeout=20s; server h:2 down; server h:3 backup; }"
    told = imported(in_stream(upstream).replace("pass 127.0.0.1:1", "pass u"))
    backend = yaml.safe_load(told.stdout)["backends"]["u"]
    assert backend == {
        "servers": [{"address": "h:1", "weight": 3, "max_connections": 50}, {"address": "h:2", "weight": 0}],
        "balance": "least_connections",
        "ejection": {"failures": 2, "for": "20s"},
    }
    assert "backup" in named(told)[2] and told.returncode == 1


def test_servers_that_speak_otherwise_to_an_upstream_get_backends_of_their_own(imported):
    second = "  server { listen 127.0.0.1:2; proxy_protocol on; proxy_pass u; }\n}\n"
    text = in_stream("upstream u { server h:1; }").replace("pass 127.0.0.1:1", "pass u")[:-2] + second
    told = imported(text)
    assert listener(told)["backend"] == "u" and listener(told, 1)["backend"] == "u-2"
    assert yaml.safe_load(told.stdout)["backends"]["u-2"]["send_proxy"] == "v1"


# --- sources, inheritance, includes


def test_an_exception_before_a_deny_is_named_and_the_deny_holds(imported):
    told = imported(in_server("allow 10.1.1.1;", "deny 10.1.0.0/16;", "allow 10.0.0.0/8;", "deny all;"))
    assert set(named(told)) == {8}
    assert listener(told)["deny"] == ["10.1.0.0/16"] and listener(told)["allow"] == ["10.1.1.1/32", "10.0.0.0/8"]


def test_a_header_that_nginx_wants_of_everybody_is_named(imported):
    text = BASE.replace("ssl;", "ssl proxy_protocol;", 1)
    told = imported(in_server("set_real_ip_from 10.0.0.0/8;", base=text))
    assert listener(told)["proxy_protocol"] == {"from": ["10.0.0.0/8"]}
    assert 2 in named(told) and told.returncode == 1
    every = imported(in_server("set_real_ip_from 0.0.0.0/0;", "set_real_ip_from ::/0;", base=text))
    assert every.returncode == 0, every.stderr
    balancer = imported(in_server("deny 10.0.0.0/8;", base=text))
    assert "the balancer" in named(balancer)[7]


def test_a_limit_for_each_source_is_carried_over(imported):
    told = imported(in_server("limit_conn a 7;", base=in_stream("limit_conn_zone $binary_remote_addr zone=a:1m;")))
    assert told.returncode == 0, told.stderr
    assert listener(told)["limits"] == {"max_connections_per_source": 7}
    other = imported(in_server("limit_conn a 7;", base=in_stream("limit_conn_zone $server_addr zone=a:1m;")))
    assert other.returncode == 1 and 8 in named(other)


def test_lines_of_stream_hold_in_servers_that_do_not_replace_them(imported):
    text = in_stream("ssl_protocols TLSv1.3;", "proxy_timeout 3m;", "deny 10.0.0.1;")
    told = imported(in_server("allow 10.0.0.0/8;", "deny all;", base=text))
    assert listener(told)["tls"]["min_version"] == 1.3 and listener(told)["timeouts"] == {"idle": "3m"}
    assert "deny" not in listener(told) and listener(told)["allow"] == ["10.0.0.0/8"]
    assert "every server has its own" in named(told, "note")[4]


def test_an_included_file_is_read_and_its_lines_are_named_by_its_name(imported, tmp_path):
    (tmp_path / "tls.conf").write_text("# of all servers\nssl_alpn h2;\nmystery on;\n")
    told = imported(in_server("include tls.conf;"))
    assert listener(told)["tls"]["alpn"] == ["h2"]
    assert f"{tmp_path}/tls.conf:3: error: mystery" in told.stderr and told.returncode == 1
    assert f"# not carried over: {tmp_path}/tls.conf:3: " in told.stdout


def test_an_include_of_itself_ends(imported):
    assert imported(BASE + "include nginx.conf;\n").returncode == 1


def test_an_include_pattern_without_files_is_a_note(imported, tmp_path):
    (tmp_path / "empty.d").mkdir()
    told = imported(BASE + "include empty.d/*.conf;\n")
    assert told.returncode == 0 and 9 in named(told, "note"), told.stderr


def test_a_unix_socket_keeps_nginxs_mode(imported):
    told = imported(BASE.replace("127.0.0.1:8443", "unix:/run/x.sock"))
    assert listener(told)["bind"] == [{"address": "unix:/run/x.sock", "mode": "0666"}]


# --- each known directive alone

DIRECTIVES = """
access_log allow deny error_log limit_conn limit_conn_dry_run limit_conn_log_level limit_conn_status limit_conn_zone listen
log_format map_hash_bucket_size map_hash_max_size open_log_file_cache preread_buffer_size preread_timeout proxy_bind
proxy_buffer_size proxy_connect_timeout proxy_download_rate proxy_half_close proxy_next_upstream proxy_next_upstream_timeout
proxy_next_upstream_tries proxy_pass proxy_protocol proxy_protocol_timeout proxy_requests proxy_responses
proxy_socket_keepalive proxy_ssl proxy_ssl_certificate proxy_ssl_certificate_key proxy_ssl_ciphers proxy_ssl_conf_command
proxy_ssl_crl proxy_ssl_name proxy_ssl_password_file proxy_ssl_protocols proxy_ssl_server_name proxy_ssl_session_reuse
proxy_ssl_trusted_certificate proxy_ssl_verify proxy_ssl_verify_depth proxy_timeout proxy_upload_rate resolver
resolver_timeout return set set_real_ip_from ssl_alpn ssl_certificate ssl_certificate_key ssl_ciphers ssl_client_certificate
ssl_conf_command ssl_crl ssl_dhparam ssl_ecdh_curve ssl_handshake_timeout ssl_ocsp ssl_password_file
ssl_prefer_server_ciphers ssl_preread ssl_protocols ssl_reject_handshake ssl_session_cache ssl_session_ticket_key
ssl_session_tickets ssl_session_timeout ssl_stapling ssl_stapling_file ssl_trusted_certificate ssl_verify_client
ssl_verify_depth tcp_nodelay variables_hash_bucket_size variables_hash_max_size js_access pass status_zone
""".split()


@pytest.mark.parametrize("value", ["on", "off", "7", "x.pem y"])
@pytest.mark.parametrize("place", [in_server, in_stream])
def test_every_directive_of_nginx_is_carried_over_or_named(imported, place, value):
    base = yaml.safe_load(imported(BASE).stdout)
    number = 7 if place is in_server else 2
    dropped = []
    for name in DIRECTIVES:
        told = imported(place(f"{name} {value};"))
        is_named = number in {**named(told), **named(told, "note")}
        if not is_named and yaml.safe_load(told.stdout) == base:
            dropped.append(name)
    # These say what holds anyhow.
    holds = {
        "on": {"limit_conn_dry_run", "proxy_next_upstream", "ssl_preread", "ssl_session_tickets"},
        "off": {"limit_conn_dry_run", "proxy_bind", "proxy_protocol", "proxy_ssl", "ssl_preread", "ssl_verify_client"},
    }
    assert set(dropped) <= holds.get(value, set()), dropped
