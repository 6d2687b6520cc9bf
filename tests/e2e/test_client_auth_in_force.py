"""Each setting of client authentication on the wire: at the start, after a reload, and after an upgrade."""

import ssl
from typing import NamedTuple

import pytest

from harness.authority import Authority
from harness.config import proxy
from harness.tls_client import TLS12, TLS13, connect, handshake_alert, python_context, visit
from harness.tools import headgate_binary, run
from harness.waiting import wait_until

VERSIONS = (TLS12, TLS13)


class Turn(NamedTuple):
    """A setting, the client that it lets in, and the client that it refuses with a reason."""

    client_auth: dict
    let_in: object
    refused: object
    reason: str


def by_allow_list(key, ours, theirs):
    """Two turns of an allow list: it names the one client, then the other."""

    def make(authority, _):
        peers = [authority.issue(*names, client=True, **options) for _, names, options in (ours, theirs)]
        wanted = [pattern or getattr(peer, key) for (pattern, _, _), peer in zip((ours, theirs), peers)]
        return [
            Turn({"ca": str(authority.file), "allow": {key: [wanted[i]]}}, peers[i], peers[1 - i], "not_allowed")
            for i in (0, 1)
        ]

    return make


def by_ca(authority, directory):
    other = Authority(directory / "other", "Another CA")
    ours, theirs = authority.issue(client=True), other.issue(client=True)
    return [
        Turn({"ca": str(authority.file)}, ours, theirs, "untrusted"),
        Turn({"ca": str(other.file)}, theirs, ours, "untrusted"),
    ]


def by_ca_of_the_trust_domain(authority, directory):
    """Both clients have the same name: only the binding of the CAs differs."""
    other = Authority(directory / "other", "Another CA")
    ours, theirs = (one.issue(client=True, uris=["spiffe://prod/ns/web"]) for one in (authority, other))
    return [
        Turn({"ca": {"prod": str(mine.file), "staging": str(yours.file)}}, let_in, refused, "untrusted")
        for mine, yours, let_in, refused in ((authority, other, ours, theirs), (other, authority, theirs, ours))
    ]


def by_revocation_list(authority, _):
    ours, theirs = authority.issue(client=True), authority.issue(client=True)
    lists = [authority.revocation_list(one, file=f"in-force-{one.x509.serial_number}.crl") for one in (theirs, ours)]
    return [
        Turn({"ca": str(authority.file), "crl": str(lists[0])}, ours, theirs, "revoked"),
        Turn({"ca": str(authority.file), "crl": str(lists[1])}, theirs, ours, "revoked"),
    ]


SETTINGS = {
    "ca": by_ca,
    "ca-of-trust-domain": by_ca_of_the_trust_domain,
    "crl": by_revocation_list,
    "spiffe": by_allow_list(
        "spiffe",
        ("spiffe://prod/ns/*", [], {"uris": ["spiffe://prod/ns/web"]}),
        ("spiffe://test/ns/*", [], {"uris": ["spiffe://test/ns/web"]}),
    ),
    "uri": by_allow_list(
        "uri",
        ("https://id.test/*", [], {"uris": ["https://id.test/7"]}),
        ("https://ab.test/*", [], {"uris": ["https://ab.test/7"]}),
    ),
    "dns": by_allow_list("dns", ("*.clients.test", ["a.clients.test"], {}), ("b.other.test", ["b.other.test"], {})),
    "common_name": by_allow_list(
        "common_name", ("alice", [], {"common_name": "alice"}), ("bob", [], {"common_name": "bob"})
    ),
    "organizational_unit": by_allow_list(
        "organizational_unit", ("ops", [], {"unit": "ops"}), ("sales", [], {"unit": "sales"})
    ),
    "fingerprint": by_allow_list("fingerprint", (None, [], {}), (None, [], {})),
    "public_key": by_allow_list("public_key", (None, [], {}), (None, [], {})),
}


@pytest.fixture
def secret(tmp_path):
    """A ticket secret, so that the tickets of one process could be opened by the next one."""
    file = tmp_path / "secret"
    file.write_text(run(headgate_binary(), "ticket-key", "new").stdout)
    file.chmod(0o600)
    return str(file)


class Guarded:
    """A running Headgate whose client_auth a test changes by reload and by upgrade."""

    def __init__(self, line, config, client_auth):
        self.config = config
        self.set(client_auth)
        self.line = line(self.config)
        self.headgate = self.line.headgate
        self.port = self.headgate.port()

    def set(self, client_auth):
        self.config["listeners"][0]["tls"]["client_auth"] = {"mode": "required", **client_auth}

    def reload(self, client_auth):
        self.set(client_auth)
        self.headgate.write_config({**self.config, "sandbox": False})
        status, answer = self.headgate.post("/reload")
        assert status == 200, answer

    def upgrade(self, client_auth):
        self.set(client_auth)
        self.headgate.write_config({**self.config, "sandbox": False})
        self.line.upgrade()

    def check(self, turn):
        """The one client passes and the other is refused, in both versions."""
        for version in VERSIONS:
            with connect(self.port, certificate=turn.let_in, version=version) as client:
                client.exchange(b"let in")
            reason = "client_certificate_" + turn.reason
            before = self.headgate.metric("headgate_handshake_failures_total", reason=reason)
            assert "alert" in handshake_alert(self.port, certificate=turn.refused, version=version)
            self.headgate.wait_metric("headgate_handshake_failures_total", before + 1, reason=reason)

    def sessions(self, pair):
        """A session of this client by each version, each of which has been resumed once."""
        made = []
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = python_context(certificate=pair, version=version)
            _, session = visit(self.port, context)
            resumed, session = visit(self.port, context, session)
            assert resumed
            made.append((context, session))
        return made

    def check_no_way_in(self, sessions):
        for context, session in sessions:
            with pytest.raises(OSError):
                visit(self.port, context, session)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_decides_at_the_start_after_a_reload_and_after_an_upgrade(
    line, backend, certificate, authority, tmp_path, secret, setting
):
    """Tickets that a client had under the rules before do not let it in under the new ones."""
    first, second = SETTINGS[setting](authority, tmp_path)
    config = proxy(backend().address, certificate, tls={"resumption": {"secret_file": secret}})
    guarded = Guarded(line, config, first.client_auth)
    guarded.check(first)
    sessions_of_the_first = guarded.sessions(first.let_in)

    guarded.reload(second.client_auth)
    guarded.check(second)
    guarded.check_no_way_in(sessions_of_the_first)
    sessions_of_the_second = guarded.sessions(second.let_in)

    guarded.upgrade(second.client_auth)
    guarded.check(second)
    guarded.check_no_way_in(sessions_of_the_first)
    for context, session in sessions_of_the_second:
        assert visit(guarded.port, context, session)[0]

    guarded.upgrade(first.client_auth)
    guarded.check(first)
    guarded.check_no_way_in(sessions_of_the_second)


def test_connections_that_an_upgrade_takes_over_obey_the_rules_of_the_new_process(
    line, backend, certificate, authority, tmp_path
):
    first, second = by_ca_of_the_trust_domain(authority, tmp_path)
    guarded = Guarded(line, proxy(backend().address, certificate), first.client_auth)
    with connect(guarded.port, certificate=first.let_in) as client:
        client.exchange(b"in")
        guarded.upgrade(first.client_auth)
        client.exchange(b"still in")
        guarded.upgrade(second.client_auth)
        assert client.wait_transport_end() in ("end", "reset")
    guarded.headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_untrusted")


def test_a_client_without_a_certificate_does_not_outlive_an_upgrade_to_a_process_that_requires_one(
    line, backend, certificate, authority
):
    guarded = Guarded(line, proxy(backend().address, certificate), {"mode": "none"})
    with connect(guarded.port) as client:
        client.exchange(b"in")
        guarded.upgrade({"mode": "none"})
        client.exchange(b"still in")
        guarded.upgrade({"ca": str(authority.file)})
        assert client.wait_transport_end() in ("end", "reset")
    # The file watch may have the process before end it in a reload, so the line is of either process.
    wait_until(lambda: guarded.headgate.log_with(reason="client_not_allowed"), "the end has its reason in the log")


def test_each_listener_asks_its_clients_as_its_own_mode_says(line, backend, certificate, authority, tmp_path):
    stranger, friend = Authority(tmp_path / "other").issue(client=True), authority.issue(client=True)
    listener = proxy(backend().address, certificate)["listeners"][0]
    guards = {"none": {"mode": "none"}} | {
        mode: {"mode": mode, "ca": str(authority.file)} for mode in ("optional", "required")
    }

    def config(*modes):
        made = proxy(backend().address, certificate)
        made["listeners"] = [
            {**listener, "name": name, "tls": {**listener["tls"], "client_auth": guards[mode]}}
            for name, mode in zip(("a", "b", "c"), modes)
        ]
        return {**made, "sandbox": False}

    def check(*modes):
        for name, mode in zip(("a", "b", "c"), modes):
            lets_in = {"none": (None, stranger, friend), "optional": (None, friend), "required": (friend,)}[mode]
            for version in VERSIONS:
                for pair in (None, stranger, friend):
                    if pair in lets_in:
                        with connect(ports[name], certificate=pair, version=version) as client:
                            client.exchange(b"let in")
                    else:
                        assert "alert" in handshake_alert(ports[name], certificate=pair, version=version)

    running = line(config("none", "optional", "required"))
    ports = {name: running.headgate.port(name) for name in ("a", "b", "c")}
    check("none", "optional", "required")
    running.headgate.write_config(config("required", "none", "optional"))
    assert running.headgate.post("/reload")[0] == 200
    check("required", "none", "optional")
    running.upgrade()
    check("required", "none", "optional")
    running.headgate.write_config(config("optional", "required", "none"))
    running.upgrade()
    check("optional", "required", "none")
