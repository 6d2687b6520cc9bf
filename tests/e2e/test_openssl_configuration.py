"""openssl.cnf decides what OpenSSL can do. One that leaves too little is told by every command, and none aborts."""

import json

import pytest

from harness.config import proxy
from harness.tools import headgate_binary, is_on_awslc, run

pytestmark = pytest.mark.skipif(is_on_awslc(), reason="AWS-LC reads no openssl.cnf")

# What a host has whose operator asked for FIPS and has not installed the module, and other ways to nothing.
INCOMPLETE = {
    "FIPS without its module": "default_properties = fips=yes",
    "no provider fits": "default_properties = provider!=default",
}


@pytest.fixture(params=INCOMPLETE.values(), ids=INCOMPLETE.keys())
def openssl_conf(request, tmp_path):
    file = tmp_path / "openssl.cnf"
    file.write_text(
        "openssl_conf = init\n[init]\nproviders = provs\nalg_section = evp\n"
        f"[provs]\ndefault = one\n[one]\nactivate = 1\n[evp]\n{request.param}\n"
    )
    return {"OPENSSL_CONF": str(file)}


def test_check_and_run_say_so(openssl_conf, backend, certificate, tmp_path):
    config = tmp_path / "headgate.yaml"
    config.write_text(json.dumps(proxy(backend().address, certificate)))
    checked = run(headgate_binary(), "check", config, env=openssl_conf)
    assert checked.returncode == 1 and "this OpenSSL lacks" in checked.stdout, checked
    started = run(headgate_binary(), "run", "-c", config, env=openssl_conf)
    assert started.returncode == 3 and "this OpenSSL lacks" in started.stdout + started.stderr, started


def test_a_ticket_key_is_refused(openssl_conf):
    made = run(headgate_binary(), "ticket-key", "new", env=openssl_conf)
    assert made.returncode == 3 and made.stdout == "", made
    assert made.stderr.startswith("headgate ticket-key: ") and "could not make a random secret" in made.stderr
