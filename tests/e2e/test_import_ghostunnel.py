"""`headgate import ghostunnel`: what becomes of each flag, and of the file around the command line."""

import re

import pytest
import yaml

from harness.tools import headgate_binary, run

pytestmark = pytest.mark.once

SERVER = "ghostunnel server --listen 127.0.0.1:8443 --target 127.0.0.1:80 --keystore /x.pem --cacert /ca.pem"
BASE = f"{SERVER} --allow-all"
CLIENT = "ghostunnel client --listen 127.0.0.1:8080 --target db.test:5432 --keystore /x.pem --cacert /ca.pem"


@pytest.fixture
def imported(tmp_path):
    def run_one(text):
        file = tmp_path / "tunnel.sh"
        file.write_text(text)
        return run(headgate_binary(), "import", "ghostunnel", file)

    return run_one


def named(told, weight="error"):
    """The lines that stderr names: (number, text)."""
    found = re.findall(rf"^\S*tunnel\.sh:(\d+): {weight}: (.*)$", told.stderr, re.MULTILINE)
    return [(int(number), text) for number, text in found]


def config(told):
    return yaml.safe_load(told.stdout)


def auth(told):
    return config(told)["listeners"][0]["tls"]["client_auth"]


def test_only_what_differs_from_the_defaults_is_printed(imported):
    told = imported(BASE + "\n")
    assert (told.returncode, told.stderr) == (0, "")
    assert config(told) == {
        "listeners": [
            {
                "name": "server",
                "bind": [{"address": "127.0.0.1:8443"}],
                "tls": {
                    "certificates": [{"certificate": "/x.pem"}],
                    "client_auth": {"mode": "required", "ca": "/ca.pem"},
                },
                "timeouts": {"idle": "24h"},
                "backend": "server",
            }
        ],
        "backends": {"server": {"servers": [{"address": "127.0.0.1:80"}]}},
    }


@pytest.mark.parametrize(
    "command, weight",
    [
        (f"{SERVER}", "error"),  # ghostunnel starts with one of the --allow flags alone
        (f"{BASE} --allow-cn x", "error"),
        (f"{BASE} --disable-authentication", "error"),
        (f"{SERVER} --disable-authentication --allow-cn x", "error"),
        (f"{SERVER} --allow-ip 10.0.0.1", "error"),
        (f"{SERVER} --allow-dns *.a.test", "error"),
        (f"{SERVER} --allow-uri spiffe://prod/**", "error"),
        (f"{SERVER} --allow-policy p --allow-query q", "error"),
        (f"{BASE} --storepass SECRET", "error"),
        (f"{BASE} --pkcs11-module m --pkcs11-pin SECRET", "error"),
        (f"{BASE} --use-workload-api", "error"),
        (f"{BASE} --auto-acme-cert a.test", "error"),
        (f"{BASE} --flag-of-tomorrow", "error"),
        (f"{BASE} --flag-of-tomorrow=SECRET", "error"),
        (f"{BASE} SECRET", "error"),
        (f"{BASE} @SECRET", "error"),
        (f"{BASE} --keystore /y.pem", "error"),
        (f"{BASE} --max-tls-version TLS1.1", "error"),
        (f"{BASE} --cipher-suites UNSAFE-AZURE", "error"),
        (f"{BASE} --connect-timeout soon", "error"),
        (f"{BASE} --override-server-name x", "error"),
        (f"{BASE} --verify-cn x", "error"),
        (BASE.replace("/x.pem", "/x.p12"), "error"),
        (BASE.replace("/x.pem", "$STORE"), "error"),
        (BASE.replace("127.0.0.1:80", "10.0.0.1:80"), "error"),
        (BASE.replace("--cacert /ca.pem", ""), "error"),
        (BASE.replace("127.0.0.1:8443", "systemd:web"), "error"),
        (BASE.replace("--target 127.0.0.1:80", ""), "error"),
        (BASE.replace(" server", ""), "error"),
        (f"CACERT_PATH=/other.pem {BASE}", "error"),
        (f"{CLIENT} --verify-cn x", "error"),
        (f"{CLIENT} --proxy socks5://p:1", "error"),
        (f"{CLIENT} --max-tls-version TLS1.2", "error"),
        (f"{CLIENT} --disable-authentication", "error"),
        (CLIENT.replace("--keystore /x.pem", ""), "error"),
        (CLIENT.replace("127.0.0.1:8080", ":8080"), "error"),
        (f"{BASE} --timed-reload 300s", "note"),
        (f"{BASE} --status localhost:6060 --enable-pprof", "note"),
        (f"{BASE} --metrics-url http://m.test/", "note"),
        (f"{BASE} --quiet all --quiet conns", "note"),
    ],
)
def test_a_flag_that_is_not_carried_over_is_named_and_a_rule_exits_1(imported, command, weight):
    told = imported(f"#!/bin/sh\n\n{command}\n")
    assert 3 in dict(named(told, weight)), told.stderr
    assert told.returncode == (1 if weight == "error" else 0), told.stderr
    assert "SECRET" not in told.stdout + told.stderr


@pytest.mark.parametrize(
    "flags",
    ["", "--allow-dns *.a.test", "--allow-uri a/**", "--disable-authentication --allow-cn x", "--allow-cn $X", "--allow-ip ::1"],
)
def test_a_server_whose_rules_are_lost_still_wants_certificates(imported, flags):
    told = imported(f"{SERVER} {flags}\n")
    assert told.returncode == 1 and auth(told)["mode"] == "required"


def test_flags_for_access_and_tls_are_carried_over(imported):
    told = imported(
        f"{SERVER} --allow-cn a --allow-cn b --allow-ou o --allow-dns d.test --allow-uri spiffe://p/* --max-tls-version=TLS1.2"
        " --cipher-suites CHACHA --proxy-protocol-mode=tls-full --max-concurrent-conns 9\n"
    )
    assert told.returncode == 0, told.stderr
    tls = config(told)["listeners"][0]["tls"]
    assert tls["client_auth"]["allow"] == {
        "uri": ["spiffe://p/*"], "dns": ["d.test"], "common_name": ["a", "b"], "organizational_unit": ["o"],
    }  # fmt: skip
    assert tls["max_version"] == 1.2 and tls["ciphers"].count("CHACHA20") == 2
    backend = config(told)["backends"]["server"]
    assert backend["send_proxy"] == "v2" and backend["send_client_certificate"] is True
    assert config(told)["listeners"][0]["limits"] == {"max_connections": 9}


def test_times_are_carried_over(imported):
    told = imported(f"{BASE} --connect-timeout 1m30s --close-timeout 5s --max-conn-lifetime 1h --shutdown-timeout 250ms\n")
    assert told.returncode == 0, told.stderr
    assert config(told)["listeners"][0]["timeouts"] == {"handshake": "90s", "idle": "24h", "half_close": "5s", "lifetime": "1h"}
    assert config(told)["backends"]["server"]["connect_timeout"] == "90s"
    assert config(told)["drain"] == {"deadline": "250ms"}


def test_a_client_verifies_its_server(imported):
    told = imported(f"{CLIENT} --override-server-name inner.test\n")
    assert told.returncode == 0, told.stderr
    assert config(told)["backends"]["client"]["tls"] == {
        "server_name": "inner.test", "ca": "/ca.pem", "certificate": "/x.pem",
    }  # fmt: skip
    assert "tls" not in config(told)["listeners"][0]


def test_each_command_of_a_file_becomes_a_listener(imported):
    told = imported(f"{BASE} &\n{CLIENT} &\n{BASE.replace('8443', '8444')} &\nwait\n")
    assert [one["name"] for one in config(told)["listeners"]] == ["server", "client", "server-2"]
    assert named(told, "note") == [(4, "left out: it is no command line of ghostunnel")] and told.returncode == 0


def test_relative_paths_begin_in_the_directory_of_the_original(imported, tmp_path):
    told = imported(BASE.replace("/x.pem", "x.pem").replace("127.0.0.1:80 ", "unix:app.sock "))
    assert f'"{tmp_path}/x.pem"' in told.stdout and f'"unix:{tmp_path}/app.sock"' in told.stdout


UNIT = f"[Unit]\nDescription=x\n[Service]\nUser=tunnel\nExecStart=-/usr/bin/{BASE} \\\n  --quiet conns\nRestart=always\n"


def test_the_lines_of_a_unit_are_named(imported):
    told = imported(UNIT)
    assert told.returncode == 0, told.stderr
    assert [number for number, _ in named(told, "note")] == [2, 4, 6, 7]
    for line in ("Environment=KEYSTORE_PATH=/y.pem", "EnvironmentFile=/etc/default/tunnel"):
        other = imported(UNIT + line + "\n")
        assert 8 in dict(named(other)) and other.returncode == 1
    assert imported(UNIT.replace("/x.pem", "/%i.pem")).returncode == 1


def test_an_environment_of_a_container_is_named(imported):
    manifest = "containers:\n  - env:\n      - name: CACERT_PATH\n        value: /y.pem\n    args:\n" + "".join(
        f"      - {word}\n" for word in BASE.split()[1:]
    )
    told = imported(manifest)
    assert 3 in dict(named(told)) and told.returncode == 1
    assert imported(manifest.replace("CACERT_PATH", "OTHER")).returncode == 0


@pytest.mark.parametrize("quoted", ["'/a b.pem'", '"/a b.pem"', "/a\\ b.pem"])
def test_quotes_of_the_shell_are_understood(imported, quoted):
    told = imported(BASE.replace("/x.pem", quoted) + "  # --allow-cn x\n")
    assert told.returncode == 0 and '"/a b.pem"' in told.stdout, told.stderr
