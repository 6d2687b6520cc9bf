"""Session resumption: it happens, also across instances, and it does not happen where it must not."""

import json
import ssl
import time

import pytest

from harness.authority import replace_file
from harness.config import proxy
from harness.tls_client import python_context, visit
from harness.tools import headgate_binary, run
from harness.waiting import wait_until

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"])


@VERSIONS
def test_a_client_that_comes_back_resumes(start, backend, certificate, record_layer, version):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    context = python_context(version=version)
    resumed, session = visit(headgate.port(), context)
    assert not resumed
    for _ in range(3):
        resumed, session = visit(headgate.port(), context, session)
        assert resumed


@VERSIONS
def test_tickets_off_means_no_resumption_at_all(start, backend, certificate, version):
    headgate = start(proxy(backend().address, certificate, tls={"resumption": {"tickets": "off"}}))
    context = python_context(version=version)
    _, session = visit(headgate.port(), context)
    if session is not None:
        resumed, _ = visit(headgate.port(), context, session)
        assert not resumed
    assert headgate.metric("headgate_sessions_tickets_total", event="issued") == 0


@pytest.fixture
def secret(tmp_path):
    """A fleet secret from the command."""
    told = run(headgate_binary(), "ticket-key", "new")
    assert told.returncode == 0 and told.stdout.strip()
    file = tmp_path / "fleet.secret"
    file.write_text(told.stdout)
    file.chmod(0o600)
    return file


@VERSIONS
def test_two_instances_with_one_secret_resume_each_others_sessions(start, backend, certificate, secret, version):
    tls = {"resumption": {"secret_file": str(secret)}}
    one, two = (start(proxy(backend().address, certificate, tls=tls)) for _ in range(2))
    context = python_context(version=version)
    _, session = visit(one.port(), context)
    resumed, session = visit(two.port(), context, session)
    assert resumed
    resumed, _ = visit(one.port(), context, session)
    assert resumed


@VERSIONS
def test_two_instances_without_a_secret_do_not_resume_each_others_sessions(start, backend, certificate, version):
    one, two = (start(proxy(backend().address, certificate)) for _ in range(2))
    context = python_context(version=version)
    _, session = visit(one.port(), context)
    resumed, _ = visit(two.port(), context, session)
    assert not resumed
    two.wait_metric("headgate_sessions_tickets_total", 1, event="unknown_key")


def test_two_keys_made_are_not_the_same():
    assert run(headgate_binary(), "ticket-key", "new").stdout != run(headgate_binary(), "ticket-key", "new").stdout


def test_a_secret_that_others_may_read_is_a_fault(certificate, secret, tmp_path):
    secret.chmod(0o644)
    config = proxy("127.0.0.1:9", certificate, tls={"resumption": {"secret_file": str(secret)}})
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(config))
    told = run(headgate_binary(), "check", "--config", file)
    assert told.returncode == 1 and str(secret) in told.stdout + told.stderr


@VERSIONS
def test_a_session_survives_the_rotation_of_keys(start, backend, certificate, secret, version):
    """Keys change every second here, and the previous key still opens its tickets."""
    tls = {"resumption": {"secret_file": str(secret), "rotate_every": "1s"}}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    context = python_context(version=version)
    _, session = visit(headgate.port(), context)
    time.sleep(1)
    resumed, _ = visit(headgate.port(), context, session)
    assert resumed


class Fleet:
    """Two instances with one secret, and clients that come back to either of them in turn, each with its own session."""

    def __init__(self, instances, version, clients=8):
        self.instances = instances
        self.contexts = [python_context(version=version) for _ in range(clients)]
        self.sessions = [None] * clients
        self.visits = self.resumed = 0

    def round(self):
        """Every client comes once. A handshake that fails raises an exception."""
        for number, context in enumerate(self.contexts):
            instance = self.instances[(self.visits + number) % len(self.instances)]
            resumed, self.sessions[number] = visit(instance.port(), context, self.sessions[number])
            self.resumed += resumed
        self.visits += len(self.contexts)

    def all_but_the_first_resumed(self):
        return self.resumed == self.visits - len(self.contexts)

    def failures(self):
        return sum(instance.metric("headgate_handshakes_total", result="failed") for instance in self.instances)


@VERSIONS
def test_a_fleet_resumes_every_session_while_its_keys_rotate(start, backend, certificate, secret, version):
    tls = {"resumption": {"secret_file": str(secret), "rotate_every": "2s", "lifetime": "1h"}}
    fleet = Fleet([start(proxy(backend().address, certificate, tls=tls)) for _ in range(2)], version)
    end = time.monotonic() + 5  # two rotations at least
    while time.monotonic() < end:
        fleet.round()
    assert fleet.all_but_the_first_resumed(), f"{fleet.resumed} of {fleet.visits}"
    assert fleet.failures() == 0


@VERSIONS
def test_a_fleet_resumes_every_session_while_its_secret_is_replaced(start, backend, certificate, secret, version):
    """All instances get the new line behind the old one, then before it, and then the old line is removed."""
    tls = {"resumption": {"secret_file": str(secret)}}
    fleet = Fleet([start(proxy(backend().address, certificate, tls=tls)) for _ in range(2)], version)
    old, new = secret.read_text(), run(headgate_binary(), "ticket-key", "new").stdout
    fleet.round()
    for lines in (old + new, new + old, new):
        replace_file(secret, lines.encode(), mode=0o600)
        for instance in fleet.instances:
            assert instance.post("/reload")[0] == 200
            fleet.round()
    assert fleet.all_but_the_first_resumed(), f"{fleet.resumed} of {fleet.visits}"
    assert fleet.failures() == 0


def guarded_and_open(backend, certificate, authority, secret):
    """One listener open to all and one that requires a client certificate, with one ticket secret."""
    config = proxy(backend().address, certificate, tls={"resumption": {"secret_file": str(secret)}})
    first = config["listeners"][0]
    guarded_tls = {**first["tls"], "client_auth": {"mode": "required", "ca": str(authority.file)}}
    config["listeners"].append({**first, "name": "guarded", "tls": guarded_tls})
    return config


@VERSIONS
def test_a_ticket_of_an_open_listener_opens_no_guarded_one(start, backend, certificate, authority, secret, version):
    headgate = start(guarded_and_open(backend, certificate, authority, secret))
    context = python_context(version=version)
    _, session = visit(headgate.port("web"), context)
    with pytest.raises((OSError, AssertionError)):
        visit(headgate.port("guarded"), context, session)


@VERSIONS
def test_a_revoked_client_cannot_resume(start, backend, certificate, authority, version, tmp_path):
    ours = authority.issue(client=True)
    crl = authority.revocation_list(file=f"{ours.certificate.stem}.crl")
    tls = {"client_auth": {"mode": "required", "ca": str(authority.file), "crl": str(crl)}}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    context = python_context(version=version, certificate=ours)
    _, session = visit(headgate.port(), context)
    resumed, session = visit(headgate.port(), context, session)
    assert resumed
    authority.revocation_list(ours, file=crl.name)
    assert headgate.post("/reload")[0] == 200
    with pytest.raises((OSError, AssertionError)):
        visit(headgate.port(), context, session)


@VERSIONS
def test_the_identity_of_a_resumed_client_is_still_known(start, backend, certificate, authority, version):
    ours = authority.issue(client=True, common_name="alice")
    allow = {"common_name": ["alice"]}
    tls = {"client_auth": {"mode": "required", "ca": str(authority.file), "allow": allow}}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    context = python_context(version=version, certificate=ours)
    _, session = visit(headgate.port(), context)
    resumed, _ = visit(headgate.port(), context, session)
    assert resumed


def test_no_secret_is_on_the_admin_endpoint(start, backend, certificate, secret):
    headgate = start(proxy(backend().address, certificate, tls={"resumption": {"secret_file": str(secret)}}))
    text = secret.read_text().strip()
    for path in ("/metrics", "/status.json", "/"):
        assert text not in headgate.get(path)[1]


@VERSIONS
def test_a_secret_replaced_at_once_keeps_the_old_one_for_one_lifetime(start, backend, certificate, secret, version):
    tls = {"resumption": {"secret_file": str(secret), "lifetime": "4s", "rotate_every": "2s"}}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    context = python_context(version=version)
    _, old = visit(headgate.port(), context)
    replace_file(secret, run(headgate_binary(), "ticket-key", "new").stdout.encode(), mode=0o600)
    assert headgate.post("/reload")[0] == 200
    resumed, _ = visit(headgate.port(), context, old)
    assert resumed
    stranger = start(proxy(backend().address, certificate, tls=tls))  # it never had the old secret
    assert not visit(stranger.port(), context, old)[0]
    wait_until(lambda: not visit(headgate.port(), context, old)[0], "the old session has ended")
