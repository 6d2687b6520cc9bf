"""`headgate explain` and `headgate import`: what they print, and that real connections get the same."""

import json

import pytest

from harness.config import certificate_entry, proxy
from harness.tools import headgate_binary, run


@pytest.fixture
def explain(tmp_path):
    """Runs `headgate explain` on a configuration."""

    def explain_one(config, *arguments, listener="web"):
        file = tmp_path / "headgate.yaml"
        file.write_text(json.dumps(config))
        return run(headgate_binary(), "explain", "--config", file, "--listener", listener, *arguments)

    return explain_one


def routed(*certificates, **tls):
    config = proxy("127.0.0.1:9", *certificates, tls={"alpn": ["h2", "http/1.1"], **tls})
    config["backends"]["api"] = {"servers": ["127.0.0.1:10"]}
    config["listeners"][0]["routes"] = [
        {"sni": ["other.test"], "backend": "api"},
        {"sni": ["app.test"], "alpn": ["h2"], "backend": "api"},
    ]
    return config


def test_it_names_the_certificate_the_route_and_the_backend(explain, certificate):
    told = explain(routed(certificate), "--sni", "app.test", "--alpn", "http/1.1", "--alpn", "h2")
    assert told.returncode == 0, told
    lines = told.stdout.splitlines()
    assert f"certificate: {certificate.certificate} (" in told.stdout and "exact name" in told.stdout
    assert "alpn: h2" in lines
    assert "route 1: sni does not match" in lines
    assert "route 2: matches" in lines
    assert lines[-2].startswith("backend: api,") and "127.0.0.1:10" in lines[-2]


def test_what_no_route_takes_goes_to_the_listeners_backend(explain, certificate):
    told = explain(routed(certificate), "--sni", "app.test")
    assert "route 2: alpn does not match" in told.stdout.splitlines()
    assert told.stdout.splitlines()[-2].startswith("backend: app,")


def test_a_denied_source_is_refused(explain, certificate):
    config = proxy("127.0.0.1:9", certificate, listener={"deny": ["192.0.2.0/24"]})
    told = explain(config, "--source", "192.0.2.7")
    assert told.returncode == 0 and "refused: source_denied" in told.stdout
    assert "backend:" in explain(config, "--source", "198.51.100.7").stdout


def test_it_says_the_limits_that_may_refuse_or_end_the_connection(explain, certificate):
    penalty = {"failures": 20, "within": "2m", "for": "10m"}
    listener = {"limits": {"connection_rate_per_source": 10, "penalty": penalty, "read_bytes_per_second": 200}}
    process = {"max_connections": 5000, "handshake_rate": 300, "max_memory": "512MiB"}
    config = proxy("127.0.0.1:9", certificate, listener=listener, limits=process)
    lines = explain(config, "--source", "192.0.2.7").stdout.splitlines()
    assert "limits of the process: max_connections 5000, handshake_rate 300, max_memory 512MiB" in lines
    assert (
        "limits: max_handshakes 1000, connection_rate_per_source 10, penalty of 10m after 20 failed handshakes within "
        "2m, hello_bytes_per_second 100, read_bytes_per_second 200"
    ) in lines
    del config["listeners"][0]["tls"]
    lines = explain(config).stdout.splitlines()
    assert "limits of the process: max_connections 5000, max_memory 512MiB" in lines
    assert "limits: connection_rate_per_source 10, read_bytes_per_second 200" in lines


def test_it_says_the_timeouts_that_hold(explain, certificate):
    config = proxy("127.0.0.1:9", certificate, listener={"timeouts": {"idle": "90s", "lifetime": "8h"}})
    lines = explain(config).stdout.splitlines()
    assert "timeouts: handshake 10s, idle 90s, half_close 1m, lifetime 8h, shutdown 5s" in lines
    del config["listeners"][0]["tls"]
    del config["listeners"][0]["timeouts"]
    assert "timeouts: idle 5m, half_close 1m, shutdown 5s" in explain(config).stdout.splitlines()
    config["listeners"][0]["proxy_protocol"] = {"from": ["10.0.0.0/8"]}
    assert "timeouts: handshake 10s, idle 5m," in explain(config).stdout


def test_it_says_which_sources_send_a_proxy_header(explain, certificate):
    listener = {"proxy_protocol": {"from": ["10.0.0.0/8", "192.0.2.7"]}, "probes": ["10.0.0.9"]}
    config = proxy("127.0.0.1:9", certificate, listener=listener)
    assert "proxy header: required from 10.0.0.0/8, 192.0.2.7/32, and not taken from others" in explain(config).stdout
    assert "proxy header: required from this source" in explain(config, "--source", "10.0.0.9").stdout
    assert "source: 10.0.0.9: allowed, counts as a probe" in explain(config, "--source", "10.0.0.9").stdout
    assert "proxy header: not taken from this source" in explain(config, "--source", "198.51.100.7").stdout
    del config["listeners"][0]["proxy_protocol"]
    assert "proxy header" not in explain(config, "--source", "198.51.100.7").stdout


def test_it_says_the_settings_of_tls(explain, certificate):
    lines = explain(proxy("127.0.0.1:9", certificate)).stdout.splitlines()
    assert "tls: versions 1.2 to 1.3; groups X25519MLKEM768, X25519, P-256, P-384" in lines
    assert "resumption: 1 ticket, good for 12h" in lines
    assert not any(line.startswith(("record layer", "key log", "canary", "ocsp", "dry run", "live")) for line in lines)
    tls = {
        "max_version": "1.2",
        "groups": ["X25519"],
        "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256",
        "resumption": {"tickets": "off"},
    }
    lines = explain(proxy("127.0.0.1:9", certificate, tls=tls)).stdout.splitlines()
    assert "tls: version 1.2; groups X25519; ciphers ECDHE-ECDSA-AES128-GCM-SHA256" in lines
    assert "resumption: none: tickets are off" in lines
    assert "record layer: openssl, because of max_version: an upgrade leaves this connection with the old process" in lines


def test_it_says_what_becomes_of_the_connections_secrets(explain, certificate, tmp_path):
    told = run(headgate_binary(), "ticket-key", "new")
    secret = tmp_path / "fleet.secret"
    secret.write_text(told.stdout)
    secret.chmod(0o600)
    resumption = {"per_connection": 2, "lifetime": "1h", "secret_file": str(secret)}
    tls = {"record_layer": "openssl", "keylog_file": str(tmp_path / "keys.log"), "resumption": resumption}
    lines = explain(proxy("127.0.0.1:9", certificate, tls=tls)).stdout.splitlines()
    assert f"resumption: 2 tickets, good for 1h at every instance with the secret of {secret}" in lines
    assert "record layer: openssl, because of record_layer: an upgrade leaves this connection with the old process" in lines
    assert f"key log: the secrets of this connection are written to {tmp_path / 'keys.log'}" in lines
    assert told.stdout.strip() not in "".join(lines)


def test_it_says_the_canary_of_the_certificate(explain, certificate):
    entry = {**certificate_entry(certificate), "canary": "10%", "canary_for": "20m"}
    told = explain(proxy("127.0.0.1:9", tls={"certificates": [entry]}))
    canary = "when the file changes, 10% of the handshakes get the new certificate at first, for 20m"
    assert f"canary: {canary}" in told.stdout.splitlines()


def test_dry_runs_of_policies_say_whether_they_would_refuse_this_client(explain, certificate):
    told = explain(proxy("127.0.0.1:9", certificate, tls={"dry_run": ["tls13_only", "pq_only"]}))
    assert "dry run of tls13_only: would let this client in" in told.stdout.splitlines()
    assert "dry run of pq_only: would let this client in" in told.stdout.splitlines()


def test_a_client_whose_certificate_is_watched_learns_so(explain, authority, certificate):
    auth = {"mode": "optional", "ca": str(authority.file)}
    config = proxy("127.0.0.1:9", certificate, tls={"client_auth": auth})
    known = authority.issue("good.test", client=True)
    live = "live connection: ended when the rules in force refuse this certificate (cut_live)"
    assert live in explain(config, "--client-cert", known.certificate).stdout.splitlines()
    assert "live connection" not in explain(config).stdout
    auth["cut_live"] = "off"
    assert "live connection" not in explain(config, "--client-cert", known.certificate).stdout


def test_a_name_that_nobody_holds_is_refused_where_that_is_asked_for(explain, certificate):
    told = explain(proxy("127.0.0.1:9", certificate, tls={"unknown_name": "reject"}), "--sni", "nobody.test")
    assert told.returncode == 0 and "unknown_name" in told.stdout and "backend:" not in told.stdout


def test_a_client_that_names_no_server_is_refused_where_that_is_asked_for(explain, certificate):
    told = explain(proxy("127.0.0.1:9", certificate, tls={"missing_name": "reject"}))
    assert told.returncode == 0 and "unknown_name: refused: the client named no server" in told.stdout
    assert "backend:" not in told.stdout


def test_a_client_certificate_is_judged_as_in_a_handshake(explain, authority, certificate):
    auth = {"mode": "required", "ca": str(authority.file), "allow": {"dns": ["good.test"]}}
    config = proxy("127.0.0.1:9", certificate, tls={"client_auth": auth})
    good = authority.issue("good.test", client=True)
    bad = authority.issue("bad.test", client=True)
    assert "good.test: allowed" in explain(config, "--client-cert", good.certificate).stdout
    assert "client_certificate_not_allowed" in explain(config, "--client-cert", bad.certificate).stdout
    assert "client_certificate_missing" in explain(config).stdout


def test_the_rules_of_the_clients_name_are_explained(explain, authority, certificate):
    auth = {"by_name": [{"sni": ["admin.test"], "mode": "required", "ca": str(authority.file)}]}
    config = proxy("127.0.0.1:9", certificate, tls={"client_auth": auth})
    for name in ("admin.test", "ADMIN.test."):
        told = explain(config, "--sni", name)
        assert "client rules: by_name[0]" in told.stdout and "client_certificate_missing" in told.stdout
    other = explain(config, "--sni", "app.test").stdout
    assert "client: not asked for a certificate" in other and "by_name" not in other


def test_a_dry_run_of_client_authentication_is_explained(explain, authority, certificate):
    tls = {"client_auth": {"mode": "required", "ca": str(authority.file)}, "dry_run": ["client_auth"]}
    told = explain(proxy("127.0.0.1:9", certificate, tls=tls))
    assert "client: no certificate: let in by dry_run, counted as client_certificate_missing" in told.stdout
    assert "backend: app" in told.stdout


def test_what_a_backend_does_with_its_servers_is_explained(explain, certificate):
    settings = {
        "queue": {"size": 20, "timeout": "3s"},
        "slow_start": "30s",
        "health_check": {"send": "PING\r\n", "expect": "hex:2b504f4e47", "interval": "5s"},
    }
    server = {"address": "srv:_pg._tcp.example.com", "max_connections": 10}
    config = proxy([server], certificate, app=settings, listener={"starttls": "postgres"})
    told = explain(config, "--sni", "app.test")
    assert told.returncode == 0, told
    assert told.stdout.splitlines()[-4:] == [
        "backend: app, round_robin over srv:_pg._tcp.example.com (at most 10 connections), a queue of 20 for 3s, "
        "slow start over 30s",
        "connect: within 2s, 2 attempts; a server is passed over for 10s after 5 failures in a row",
        'health check: tcp every 5s within 1s, down after 3 failures, up after 2 successes, says "PING??", expects "+PONG"',
        "cancel requests: to every address of srv:_pg._tcp.example.com",
    ]


def test_spare_connections_are_explained(explain, certificate):
    told = explain(proxy("127.0.0.1:9", certificate, app={"preconnect": 4, "slow_start": "1s"}))
    line = "backend: app, round_robin over 127.0.0.1:9, 4 spare connections per worker, slow start over 1s"
    assert line in told.stdout.splitlines()


def test_the_choice_among_servers_and_the_connect_are_explained(explain, certificate):
    servers = [
        {"address": "127.0.0.1:9", "weight": 3, "max_connections": 1},
        {"address": "127.0.0.1:10", "weight": 0, "max_connections": 500},
    ]
    settings = {
        "balance": "least_connections",
        "connect_timeout": "500ms",
        "connect_attempts": 1,
        "ejection": {"failures": 1, "for": "1m"},
        "source": "127.0.0.1",
        "send_proxy": "v2",
        "send_client_certificate": "on",
    }
    told = explain(proxy(servers, certificate, app=settings))
    assert told.stdout.splitlines()[-3:] == [
        "backend: app, least_connections over 127.0.0.1:9 (weight 3, at most 1 connection), 127.0.0.1:10 (gets no "
        "connection: weight 0, at most 500 connections), from 127.0.0.1, no queue: refused as no_backend while all are full",
        "connect: within 500ms, 1 attempt; a server is passed over for 1m after 1 failure",
        "proxy header to the server: v2, with the client's certificate if it shows one",
    ], told
    del servers[0]["max_connections"]
    settings.update(send_proxy="v1", send_client_certificate="off", ejection={"failures": 0})
    told = explain(proxy(servers, certificate, app=settings)).stdout
    assert "no queue" not in told and "passed over" not in told
    assert "proxy header to the server: v1" in told.splitlines()


def test_the_tls_of_a_backend_is_explained_for_this_client(explain, authority, certificate):
    known = authority.issue("gate.test", client=True)
    shown = {"certificate": str(known.certificate), "private_key": str(known.key)}
    tls = {"server_name": "$sni", "ca": str(authority.file), "alpn": ["$alpn"], **shown}
    config = proxy("127.0.0.1:9", certificate, tls={"alpn": ["h2"]}, app={"tls": tls})

    def told(*arguments):
        lines = explain(config, *arguments).stdout.splitlines()
        return next(line for line in lines if line.startswith("tls to the server: "))

    rest = f"verified with {authority.file}, shows {known.certificate} when asked"
    assert told("--sni", "app.test", "--alpn", "h2") == (
        f"tls to the server: name app.test, as the client asked for, {rest}, offers alpn h2"
    )
    assert told() == (
        f"tls to the server: name the host of the server's address, since the client named no server, {rest}"
    )
    config["backends"]["app"]["tls"] = {"server_name": "db.test", "alpn": ["x", "y"]}
    assert told() == "tls to the server: name db.test, verified with the CAs of the system, offers alpn x, y"
    config["backends"]["app"]["tls"] = {"verify": "off"}
    assert told() == "tls to the server: name the host of the server's address"


def test_an_unknown_listener_exits_1_and_names_those_there_are(explain, certificate):
    told = explain(proxy("127.0.0.1:9", certificate), listener="wbe")
    assert told.returncode == 1 and "web" in told.stderr


def test_an_import_passes_check_and_names_what_has_no_equal(tmp_path, certificate):
    entry = certificate_entry(certificate)
    theirs = tmp_path / "hitch.conf"
    theirs.write_text(
        'frontend = "[127.0.0.1]:8443"\nbackend = "[127.0.0.1]:8080"\nchroot = "/var/empty"\n'
        f'pem-file = {{ cert = "{entry["certificate"]}" private-key = "{entry["private_key"]}" }}\n'
    )
    told = run(headgate_binary(), "import", "hitch", theirs)
    assert told.returncode == 0, told
    assert f"{theirs}:3: note: chroot" in told.stderr
    ours = tmp_path / "headgate.yaml"
    ours.write_text(told.stdout)
    assert run(headgate_binary(), "check", "--config", ours).returncode == 0
