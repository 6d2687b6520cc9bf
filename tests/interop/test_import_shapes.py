"""Whole configurations of HAProxy, hitch and stunnel, ten of each, as services have them, and their translations by
`headgate import`, side by side on the same clients; tests/interop/test_import.py has the single rules."""

import pytest

pytestmark = pytest.mark.once

HAPROXY_HEAD = """
global
    log stdout format raw local0
    maxconn 4000
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256
defaults
    mode tcp
    option tcplog
    option dontlognull
    timeout connect 5s
    timeout client 1m
    timeout server 1m
"""
HAPROXY = {
    "database": """
listen postgres
    bind :::@port@ v4v6 ssl crt @a@ alpn postgresql
    balance leastconn
    server pg1 @one@ check inter 3s fall 3 rise 2 maxconn 300
""",
    "mutual_tls": """
frontend broker
    bind 127.0.0.1:@port@,[::1]:@port@ ssl crt @a@ verify required ca-file @ca@ crl-file @crl@
    default_backend brokers
backend brokers
    server b1 @one@ send-proxy-v2
""",
    "names_behind_tls": """
frontend https
    bind :@port@ ssl crt @a@ crt @b@
    acl for_b ssl_fc_sni -i b.test
    use_backend second if for_b
    default_backend first
backend first
    server s @one@
backend second
    server s @two@
""",
    "names_before_tls": """
frontend router
    bind :::@port@ v4v6
    tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_hello_type 1 }
    use_backend second if { req.ssl_sni -i b.test }
    default_backend first
backend first
    server s @tls@
backend second
    server s @tls_b@
""",
    "office": """
frontend inner
    bind :::@port@ v4v6 ssl crt @a@
    acl office src 10.0.0.0/8 127.0.0.0/8
    tcp-request connection reject if !office
    default_backend first
backend first
    server s @one@
""",
    "reencrypt": """
frontend https
    bind :::@port@ v4v6 ssl crt @b@
    default_backend inner
backend inner
    default-server ssl verify required ca-file @ca@ sni str(a.test)
    server s1 @tls@ check
""",
    "tls13": """
frontend https
    bind :@port@ ssl crt @a@ ssl-min-ver TLSv1.3 ciphersuites TLS_AES_256_GCM_SHA384 curves X25519:P-256 strict-sni
    bind [::]:@port@ v6only ssl crt @a@ ssl-min-ver TLSv1.3 ciphersuites TLS_AES_256_GCM_SHA384 curves X25519:P-256 strict-sni
    maxconn 2000
    default_backend first
backend first
    server s @one@
""",
    "weights": """
frontend https
    bind 127.0.0.1:@port@ ssl crt @certificates@
    default_backend pool
backend pool
    balance source
    retries 2
    server s1 @one@ weight 100 slowstart 30s check
    server s2 127.0.0.1:9 weight 0
""",
    "optional_certificates": """
frontend https
    bind :::@port@ v4v6 ssl crt @a@ verify optional ca-file @ca@
    tcp-request connection reject if { src 192.0.2.0/24 }
    default_backend first
backend first
    server s @one@
""",
    "silent_source": """
listen inner
    bind :::@port@ v4v6 ssl crt @a@ crt @b@ force-tlsv13
    tcp-request connection silent-drop if { src 127.0.0.2 }
    option tcp-check
    server s @one@ check
""",
}
HITCH_HEAD = """
# TLS in front of a cache
backend = "[127.0.0.1]:@one_port@"
@user@
daemon = off
quiet = on
"""
HITCH = {
    "varnish": 'frontend = "[*]:@port@"\npem-file = "@a@"\nalpn-protos = "h2, http/1.1"\nwrite-proxy-v2 = on\nworkers = 1\n',
    "several_names": 'frontend = "[*]:@port@"\npem-file = "@a@"\npem-file = "@b@"\nsni-nomatch-abort = on\n',
    "modern": 'frontend = "[*]:@port@"\npem-file = "@a@"\ntls-protos = TLSv1.3\nciphersuites = "TLS_AES_128_GCM_SHA256"\n',
    "ciphers": """
frontend = "[127.0.0.1]:@port@"
pem-file = "@a@"
tls-protos = TLSv1.2
ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
prefer-server-ciphers = on
ecdh-curve = "X25519:P-256"
""",
    "mutual_tls": 'frontend = "[*]:@port@"\npem-file = "@a@"\nclient-verify = required\nclient-verify-ca = "@ca@"\n',
    "optional": 'frontend = "[*]:@port@"\npem-file = "@a@"\nclient-verify = optional\nclient-verify-ca = "@ca@"\n',
    "frontend_block": """
frontend = {
    host = "*"
    port = "@port@"
    pem-file = "@b@"
    match-global-certs = on
}
pem-file = "@a@"
backlog = 1024
keepalive = 3600
""",
    "directory": 'frontend = "[*]:@port@"\npem-dir = "@certificates@"\npem-dir-glob = "*.pem"\n',
    "separate_key": """
frontend = "[::1]:@port@"
pem-file = {
    cert = "@a_crt@"
    private-key = "@a_key@"
}
write-proxy-v1 = on
""",
    "two_frontends": 'frontend = "[127.0.0.1]:@port@+@b@"\nfrontend = "[::1]:@port@"\npem-file = "@a@"\n',
}
STUNNEL_HEAD = "foreground = yes\npid =\nsyslog = no\ndebug = notice\n"
STUNNEL = {
    "database": "[postgres]\naccept = :::@port@\nconnect = @one@\ncert = @a@\nTIMEOUTclose = 5\n",
    "head": "cert = @a@\nsslVersionMin = TLSv1.2\n[mail]\naccept = @port@\nconnect = @one@\n",
    "mutual_tls": "[redis]\naccept = :::@port@\nconnect = @one@\ncert = @a@\nverifyChain = yes\nCAfile = @ca@\n",
    "revoked": "CAfile = @ca@\nCRLfile = @crl@\n[redis]\naccept = :::@port@\nconnect = @one@\ncert = @a@\nverify = 2\n",
    "one_peer": "[redis]\naccept = :::@port@\nconnect = @one@\ncert = @a@\nverifyChain = yes\nCAfile = @ca@\ncheckHost = second.test\n",
    "modern": "[web]\naccept = 127.0.0.1:@port@\nconnect = @one@\ncert = @a@\nsslVersion = TLSv1.3\ncurves = X25519:P-256\n",
    "separate_key": "[web]\naccept = :::@port@\nconnect = @one@\ncert = @a_crt@\nkey = @a_key@\nsessionResume = no\n",
    "names": "[web]\naccept = :::@port@\nconnect = @one@\ncert = @a@\n[second]\nsni = web:b.test\ncert = @b@\nconnect = @two@\n",
    "ciphers": """socket = l:TCP_NODELAY=1
options = NO_SSLv3
[web]
accept = :::@port@
connect = @one@
cert = @a@
ciphers = ECDHE-ECDSA-AES256-GCM-SHA384
sslVersionMax = TLSv1.2
TIMEOUTidle = 3600
""",
    "only_ipv6": "socket = a:IPV6_V6ONLY=1\n[web]\naccept = :::@port@\nconnect = @one@\ncert = @a@\noptions = CIPHER_SERVER_PREFERENCE\n",
}


@pytest.mark.parametrize("shape", HAPROXY)
def test_haproxys_whole_files_let_the_same_clients_in(compare, world, shape):
    by_certificate = "verify" in HAPROXY[shape] and "verify required ca-file @ca@ sni" not in HAPROXY[shape]
    compare("haproxy", HAPROXY_HEAD + HAPROXY[shape], certificates=world.clients if by_certificate else ("none",))


@pytest.mark.parametrize("shape", HITCH)
def test_hitchs_whole_files_let_the_same_clients_in(compare, world, shape):
    compare("hitch", HITCH_HEAD + HITCH[shape], certificates=world.clients if "verify" in HITCH[shape] else ("none",))


@pytest.mark.parametrize("shape", STUNNEL)
def test_stunnels_whole_files_let_the_same_clients_in(compare, world, shape):
    compare("stunnel", STUNNEL_HEAD + STUNNEL[shape], certificates=world.clients if "verify" in STUNNEL[shape] else ("none",))
