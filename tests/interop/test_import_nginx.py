"""Configurations of nginx's stream module as people write them, and their translations by `headgate import`, side by side on
the same clients; tests/interop/test_import.py says what must be the same."""

import pytest

from harness.side_by_side import NAMES, filled, plain_outcome

pytestmark = pytest.mark.once

TLS = """
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate @a_crt@;
    ssl_certificate_key @a_key@;
"""


def stream(text):
    return f"@nginx_head@\nstream {{\n{text}\n}}\n"


def server(lines, listen="listen @port@ ssl;\n    listen [::]:@port@ ssl;", tls=TLS, target="@one@"):
    return stream(f"  server {{\n    {listen}\n{tls}\n    {lines}\n    proxy_pass {target};\n  }}")


# --- whole files

DATABASE = """
@nginx_head@
stream {
    log_format basic '$remote_addr [$time_local] $protocol $status $bytes_sent "$ssl_protocol"';
    access_log off;
    tcp_nodelay on;

    upstream postgres {
        least_conn;
        zone postgres 64k;
        server @one@ max_fails=3 fail_timeout=30s;   # the primary
    }

    ssl_session_cache   shared:tls:1m;
    ssl_session_timeout 10m;
    ssl_prefer_server_ciphers on;

    server {
        listen @port@ ssl reuseport;
        listen [::]:@port@ ssl reuseport;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers   ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256;
        ssl_certificate     @a_crt@;
        ssl_certificate_key @a_key@;
        proxy_connect_timeout 3s;
        proxy_timeout 1h;
        proxy_pass postgres;
    }
}
"""
BROKER = """
@nginx_head@
stream {
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate @a_crt@;
    ssl_certificate_key @a_key@;
    server {
        listen [::]:@port@ ssl ipv6only=off backlog=511;
        ssl_client_certificate @ca@;
        ssl_crl @crl@;
        ssl_verify_client on;
        ssl_session_tickets off;
        proxy_pass @one@;
    }
}
"""
OFFICE = """
@nginx_head@
stream {
    deny  192.0.2.66;
    allow 127.0.0.1/8;
    allow 10.0.0.0/8;
    deny  all;
    server {
        listen @port@ ssl;
        listen [::]:@port@ ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate @a_crt@;
        ssl_certificate_key @a_key@;
        proxy_pass @one@;
    }
}
"""
BY_NAME_BEFORE_TLS = """
@nginx_head@
stream {
    map $ssl_preread_server_name $target {
        hostnames;
        a.test   front;
        B.test   @tls_b@;
        default  front;
    }
    upstream front { server @tls@; }
    server {
        listen @port@;
        listen [::]:@port@;
        ssl_preread on;
        proxy_pass $target;
    }
}
"""
CLOSED_ROUTER = """
@nginx_head@
stream {
    map $ssl_preread_server_name $target {
        "a.test" @tls@;
        b.test   @tls_b@;
    }
    server {
        listen 127.0.0.1:@port@;
        ssl_preread on;
        preread_timeout 10s;
        proxy_pass $target;
    }
}
"""
BY_NAME_BEHIND_TLS = """
@nginx_head@
stream {
    map $ssl_server_name $target {
        b.test   two;
        default  one;
    }
    upstream one { server @one@; }
    upstream two { hash $remote_addr consistent; server @two@; }
    server {
        listen @port@ ssl;
        listen [::]:@port@ ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate @a@;
        ssl_certificate_key @a@;
        proxy_pass $target;
    }
}
"""
MODERN = """
@nginx_head@
stream {
    server {
        listen @port@ ssl;
        listen [::]:@port@ ssl;
        ssl_certificate @a_crt@;
        ssl_certificate_key @a_key@;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519:prime256v1;
        ssl_conf_command MinProtocol TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256;
        ssl_conf_command Options PrioritizeChaCha,-SessionTicket;
        proxy_pass @one@;
    }
}
"""
INNER_TLS = """
@nginx_head@
stream {
    upstream a.test { server @tls@; }
    server {
        listen @port@ ssl;
        listen [::]:@port@ ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate @b_crt@;
        ssl_certificate_key @b_key@;
        proxy_ssl on;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate @ca@;
        proxy_ssl_server_name on;
        proxy_ssl_protocols TLSv1.2 TLSv1.3;
        proxy_pass a.test;
    }
}
"""
PARTNERS = """
@nginx_head@
stream {
    limit_conn_zone $binary_remote_addr zone=sources:1m;
    server {
        listen @port@ ssl;
        ssl_protocols TLSv1.2;
        ssl_certificate @a_crt@;
        ssl_certificate_key @a_key@;
        ssl_verify_client optional;
        ssl_client_certificate @ca@;
        limit_conn sources 100;
        limit_conn_log_level warn;
        proxy_protocol on;
        proxy_pass @one@;
    }
}
"""
TWO_DOORS = """
@nginx_head@
stream {
    server {
        listen 127.0.0.1:@port@ ssl;
        listen unix:@directory@/local.sock;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate @a_crt@;
        ssl_certificate_key @a_key@;
        proxy_next_upstream off;
        proxy_socket_keepalive on;
        proxy_pass backends;
    }
    upstream backends {
        random two least_conn;
        server @one@ weight=5 max_conns=200;
        server 127.0.0.1:9 down;
    }
}
"""
WITH_A_WEBSITE = """
@nginx_head@
stream {
    server { listen @port@ ssl; listen [::]:@port@ ssl; ssl_protocols TLSv1.2 TLSv1.3;
             ssl_certificate @a_crt@; ssl_certificate_key @a_key@; proxy_pass @one@; }
}
http {
    access_log off;
    client_body_temp_path @directory@/body; proxy_temp_path @directory@/proxy; fastcgi_temp_path @directory@/fastcgi;
    uwsgi_temp_path @directory@/uwsgi; scgi_temp_path @directory@/scgi;
    server { listen unix:@directory@/web.sock; location / { return 200 "}"; } }
}
"""


@pytest.mark.parametrize("certificates", ["none", "all"])
@pytest.mark.parametrize("text", [DATABASE, BROKER, OFFICE, MODERN, PARTNERS], ids=["database", "broker", "office", "modern", "partners"])
def test_nginxs_servers_with_tls_let_the_same_clients_in(compare, world, text, certificates):
    clients = world.clients if certificates == "all" else ("none",)
    serves = text is not BROKER or certificates == "all"
    compare("nginx", text, certificates=clients, names=("a.test", None), serves=serves)


@pytest.mark.parametrize(
    "text", [BY_NAME_BEFORE_TLS, CLOSED_ROUTER, BY_NAME_BEHIND_TLS], ids=["before", "closed", "behind"]
)
def test_nginxs_maps_of_names_lead_to_the_same_backends(compare, text):
    compare("nginx", text, names=[*NAMES, "A.test", "sub.a.test"])


@pytest.mark.parametrize("text", [INNER_TLS, TWO_DOORS], ids=["inner_tls", "two_doors"])
def test_nginxs_backends_are_the_same(compare, text):
    compare("nginx", text)


def test_nginxs_http_is_named_and_its_stream_is_the_same(compare):
    compare("nginx", WITH_A_WEBSITE, lost=True)


def test_nginxs_included_files_are_part_of_the_translation(compare, world, tmp_path):
    (tmp_path / "tls.conf").write_text("ssl_protocols TLSv1.2 TLSv1.3;\n" + filled("ssl_certificate @b@;\nssl_certificate_key @b@;", world.words))
    servers = tmp_path / "stream.d"
    servers.mkdir()
    (servers / "10-map.conf").write_text("map $ssl_alpn_protocol $target { h2 @two@; default @one@; }")
    text = stream(f"include {servers}/*.conf;\n  server {{\n    include {tmp_path}/tls.conf;\n    listen @port@ ssl;\n    proxy_pass @one@;\n  }}")
    compare("nginx", text, names=["b.test"])


# --- single rules

@pytest.mark.parametrize(
    "listen",
    [
        "listen @port@ ssl;",
        "listen *:@port@ ssl;",
        "listen [::]:@port@ ssl;",
        "listen [::]:@port@ ssl ipv6only=off;",
        "listen 127.0.0.1:@port@ ssl; listen [::1]:@port@ ssl;",
    ],
)
def test_nginxs_listens_reach_the_same_clients(compare, listen):
    compare("nginx", server("", listen), names=["a.test"])


@pytest.mark.parametrize("protocols", ["TLSv1.2", "TLSv1.3", "TLSv1.2 TLSv1.3", "TLSv1.1 TLSv1.2"])
def test_nginxs_versions_hold(compare, protocols):
    tls = TLS.replace("TLSv1.2 TLSv1.3", protocols)
    compare("nginx", server("", tls=tls), lost="1.1" in protocols, names=["a.test"])


@pytest.mark.parametrize(
    "rules, lost",
    [
        ("deny 127.0.0.0/8;", False),
        ("deny ::1;", False),
        ("allow 127.0.0.1; deny all;", False),
        ("allow 127.0.0.1; deny 127.0.0.0/8;", True),
        ("allow 10.0.0.0/8; deny ::1; allow all;", False),
        ("deny ::1; allow ::/0; deny all;", False),
        ("allow all; deny 127.0.0.1;", False),
    ],
)
def test_nginxs_rules_about_sources_hold_or_are_named(compare, rules, lost):
    refuses_all = rules.startswith("deny ::1; allow ::/0")
    compare("nginx", server(rules), lost=lost, names=["a.test"], serves=not refuses_all)


@pytest.mark.parametrize(
    "lines, lost",
    [
        ("ssl_verify_client on; ssl_client_certificate @ca@;", False),
        ("ssl_verify_client optional; ssl_client_certificate @ca@;", False),
        ("ssl_verify_client off; ssl_client_certificate @ca@;", False),
        ("ssl_verify_client on; ssl_client_certificate @ca@; ssl_crl @crl@;", False),
        ("ssl_verify_client optional_no_ca; ssl_client_certificate @ca@;", True),
        ("ssl_verify_client on; ssl_client_certificate @ca@; ssl_trusted_certificate @other_ca@;", True),
        ("ssl_verify_client on; ssl_client_certificate @ca@; ssl_verify_depth 2;", True),
    ],
)
def test_nginxs_clients_need_the_same_certificates(compare, world, lines, lost):
    compare("nginx", server(lines), lost=lost, certificates=world.clients, names=["a.test"])


@pytest.mark.parametrize(
    "lines, serves",
    [
        ("proxy_ssl on;", True),
        ("proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate @ca@; proxy_ssl_name a.test;", True),
        ("proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate @ca@; proxy_ssl_name b.test;", False),
        ("proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate @other_ca@; proxy_ssl_name a.test;", False),
    ],
)
def test_nginxs_servers_are_verified_alike(compare, lines, serves):
    text = server(lines, "listen @port@;\n    listen [::]:@port@;", tls="", target="@tls@")
    compare("nginx", text, names=["a.test"], ask=plain_outcome, serves=serves)


def test_nginxs_pattern_of_names_is_one_label_and_named(compare):
    text = BY_NAME_BEFORE_TLS.replace("a.test   front", ".a.test   front").replace("default  front;", "")
    compare("nginx", text, lost=True, names=[*NAMES, "x.a.test", "x.y.a.test"])
