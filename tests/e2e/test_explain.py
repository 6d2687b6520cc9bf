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


def test_a_name_that_nobody_holds_is_refused_where_that_is_asked_for(explain, certificate):
    told = explain(proxy("127.0.0.1:9", certificate, tls={"unknown_name": "reject"}), "--sni", "nobody.test")
    assert told.returncode == 0 and "unknown_name" in told.stdout and "backend:" not in told.stdout


def test_a_client_certificate_is_judged_as_in_a_handshake(explain, authority, certificate):
    auth = {"mode": "required", "ca": str(authority.file), "allow": {"dns": ["good.test"]}}
    config = proxy("127.0.0.1:9", certificate, tls={"client_auth": auth})
    good = authority.issue("good.test", client=True)
    bad = authority.issue("bad.test", client=True)
    assert "good.test: allowed" in explain(config, "--client-cert", good.certificate).stdout
    assert "client_certificate_not_allowed" in explain(config, "--client-cert", bad.certificate).stdout
    assert "client_certificate_missing" in explain(config).stdout


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
    assert f"{theirs}:3: chroot" in told.stderr
    ours = tmp_path / "headgate.yaml"
    ours.write_text(told.stdout)
    assert run(headgate_binary(), "check", "--config", ours).returncode == 0
