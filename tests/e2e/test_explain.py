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
    assert lines[-1].startswith("backend: api,") and "127.0.0.1:10" in lines[-1]


def test_what_no_route_takes_goes_to_the_listeners_backend(explain, certificate):
    told = explain(routed(certificate), "--sni", "app.test")
    assert "route 2: alpn does not match" in told.stdout.splitlines()
    assert told.stdout.splitlines()[-1].startswith("backend: app,")


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
    assert told.stdout.splitlines()[-3:] == [
        "backend: app, round_robin over srv:_pg._tcp.example.com, a queue of 20 for 3s, slow start over 30s",
        'health check: tcp every 5s, says "PING??", expects "+PONG"',
        "cancel requests: to every address of srv:_pg._tcp.example.com",
    ]


def test_spare_connections_are_explained(explain, certificate):
    told = explain(proxy("127.0.0.1:9", certificate, app={"preconnect": 4, "slow_start": "1s"}))
    line = "backend: app, round_robin over 127.0.0.1:9, 4 spare connections per worker, slow start over 1s"
    assert line in told.stdout.splitlines()


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
