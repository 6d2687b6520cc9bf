"""Rules for clients by server name, and the ways round them that do not exist."""

import hashlib
import ssl

import pytest
from OpenSSL import SSL

from harness.authority import DAY, Authority
from harness.config import proxy
from harness.tls_client import TLS12, TLS13, TlsClient, connect, handshake_alert, python_context, python_tls, visit
from harness.tools import headgate_binary, run, tool

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
PYTHON_VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"]
)
ADMIN = "admin.example.test"


@pytest.fixture(scope="module")
def leaf(authority):
    """One certificate for all names, so that no session is refused because of another certificate."""
    return authority.issue("app.test", "*.example.test")


@pytest.fixture(scope="module")
def ops(authority):
    return authority.issue("ops.test", client=True)


@pytest.fixture(scope="module")
def guest(authority):
    return authority.issue("guest.test", client=True)


def rules(authority, *names, **more):
    return {"sni": list(names), "mode": "required", "ca": str(authority.file), **more}


def guarded(backends, leaf, *by_name, tls=None, **client_auth):
    """A site for everybody and `admin` behind it, by name."""
    site, admin = backends
    config = proxy(
        site,
        leaf,
        tls={"client_auth": {"by_name": list(by_name), **client_auth}, **(tls or {})},
        listener={"routes": [{"sni": [ADMIN, "*.admin.example.test"], "backend": "admin"}]},
    )
    config["backends"]["admin"] = {"servers": [admin]}
    return config


@pytest.fixture
def backends(backend):
    return backend().address, backend().address


def served(port, name, pair=None, **options):
    with connect(port, sni=name, certificate=pair, **options) as client:
        client.exchange(b"let in")


def refused(headgate, name, reason, pair=None, **options):
    before = headgate.metric("headgate_handshake_failures_total", reason=reason)
    alert = handshake_alert(headgate.port(), sni=name, certificate=pair, **options)
    headgate.wait_metric("headgate_handshake_failures_total", before + 1, reason=reason)
    return alert


@VERSIONS
def test_a_name_has_rules_of_its_own(start, backends, leaf, authority, ops, guest, version):
    headgate = start(guarded(backends, leaf, rules(authority, ADMIN, allow={"dns": ["ops.test"]})))
    served(headgate.port(), "app.test", version=version)
    served(headgate.port(), None, version=version)
    served(headgate.port(), ADMIN, ops, version=version)
    refused(headgate, ADMIN, "client_certificate_missing", version=version)
    refused(headgate, ADMIN, "client_certificate_not_allowed", guest, version=version)


def test_the_rules_of_a_name_may_be_weaker_than_the_listeners(start, backends, leaf, authority, ops):
    config = guarded(
        backends, leaf, {"sni": ["health.example.test"], "mode": "none"}, mode="required", ca=str(authority.file)
    )
    headgate = start(config)
    served(headgate.port(), "health.example.test")
    refused(headgate, "app.test", "client_certificate_missing")
    served(headgate.port(), "app.test", ops)


def test_each_name_has_its_own_authorities(start, backends, leaf, authority, ops, tmp_path):
    other = Authority(tmp_path / "other", "Another CA")
    theirs = other.issue("ops.test", client=True)
    headgate = start(guarded(backends, leaf, rules(authority, ADMIN), rules(other, "b.example.test")))
    served(headgate.port(), ADMIN, ops)
    served(headgate.port(), "b.example.test", theirs)
    refused(headgate, ADMIN, "client_certificate_untrusted", theirs)
    refused(headgate, "b.example.test", "client_certificate_untrusted", ops)


@pytest.mark.parametrize("name", ["ADMIN.Example.TEST", ADMIN + ".", "aDmin.example.test.", ADMIN + ".."])
def test_another_spelling_of_a_name_is_under_its_rules(start, backends, leaf, authority, name):
    headgate = start(guarded(backends, leaf, rules(authority, ADMIN)))
    refused(headgate, name, "client_certificate_missing")


def test_a_wildcard_is_one_label_and_the_first_entry_counts(start, backends, leaf, authority, ops):
    headgate = start(
        guarded(backends, leaf, {"sni": ["open.example.test"], "mode": "none"}, rules(authority, "*.Example.test"))
    )
    served(headgate.port(), "open.example.test")
    refused(headgate, "b.example.test", "client_certificate_missing")
    served(headgate.port(), "a.b.example.test")
    served(headgate.port(), "b.example.test", ops)


# --- the second ClientHello


def served_with_names(port, first, second, pair=None):
    """Handshakes with a name in the first ClientHello and another one behind the HelloRetryRequest."""
    client = TlsClient(port, sni=first, version=TLS13, certificate=pair)
    with client:
        client.socket.sendall(client.client_hello())
        client.tls.set_tlsext_host_name(second.encode())
        client.tls.bio_write(client.socket.recv(65536))
        client.handshake()
        client.exchange(b"let in")


@pytest.fixture
def retrying(start, backends, leaf, authority):
    """The server takes a group for which the client sends no share."""
    return start(guarded(backends, leaf, rules(authority, ADMIN), tls={"groups": ["P-384"]}))


def test_another_name_in_the_second_hello_does_not_escape_the_rules_of_the_first(retrying, ops):
    served_with_names(retrying.port(), ADMIN, "app.test", ops)
    with pytest.raises(SSL.Error):
        served_with_names(retrying.port(), ADMIN, "app.test")
    retrying.wait_metric("headgate_handshake_failures_total", reason="client_certificate_missing")
    assert retrying.metric("headgate_hello_retry_requests_total") == 1


def test_the_name_of_the_second_hello_does_not_lead_to_a_guarded_backend(retrying):
    served_with_names(retrying.port(), "app.test", ADMIN)
    ended = retrying.wait_log(message="connection ended")[0]
    assert ended["backend"] == "app" and ended["sni"] == "app.test"


# --- sessions


def refused_session(headgate, context, session, name):
    with pytest.raises(ssl.SSLError), python_tls(headgate.port(), context=context, session=session, sni=name) as client:
        client.sendall(b"x")
        client.recv(1)
    headgate.wait_metric("headgate_handshake_failures_total", reason="client_certificate_missing")


@PYTHON_VERSIONS
def test_a_session_of_another_name_does_not_escape_the_rules(
    start, backends, leaf, authority, ops, record_layer, version
):
    headgate = start(guarded(backends, leaf, rules(authority, ADMIN), tls={"record_layer": record_layer}))
    context = python_context(version=version)
    _, session = visit(headgate.port(), context)
    assert visit(headgate.port(), context, session)[0], "it resumes where it began"
    refused_session(headgate, context, session, ADMIN)
    headgate.wait_metric("headgate_sessions_tickets_total", event="refused_policy")

    known = python_context(version=version, certificate=ops)
    _, session = visit(headgate.port(), known, sni=ADMIN)
    assert visit(headgate.port(), known, session, sni=ADMIN)[0]
    assert not visit(headgate.port(), known, session)[0], "nor does the session of the name resume elsewhere"


@PYTHON_VERSIONS
def test_a_session_does_not_outlive_an_entry_that_a_reload_or_an_upgrade_brings(
    line, backends, leaf, authority, ops, tmp_path, version
):
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(run(headgate_binary(), "ticket-key", "new").stdout)
    tls = {"resumption": {"secret_file": str(secret)}}
    running = line(guarded(backends, leaf, tls=tls))
    headgate = running.headgate
    context = python_context(version=version)
    _, session = visit(headgate.port(), context, sni=ADMIN)
    headgate.write_config(guarded(backends, leaf, rules(authority, ADMIN), tls=tls))
    assert headgate.post("/reload")[0] == 200
    refused_session(headgate, context, session, ADMIN)
    running.upgrade()
    refused_session(headgate, context, session, ADMIN)
    served(headgate.port(), ADMIN, ops)


# --- connected clients


def test_a_reload_asks_the_rules_of_its_name_about_each_client(line, backends, leaf, authority, ops, guest):
    anyone = rules(authority, "*.example.test")
    running = line(guarded(backends, leaf, anyone))
    headgate = running.headgate
    with (
        connect(headgate.port(), sni=ADMIN, certificate=guest) as gone,
        connect(headgate.port(), sni=ADMIN, certificate=ops) as stays,
        connect(headgate.port(), sni="b.example.test", certificate=guest) as elsewhere,
    ):
        clients = {"gone": gone, "stays": stays, "elsewhere": elsewhere}
        for client in clients.values():
            client.exchange(b"in")
        headgate.write_config(
            guarded(backends, leaf, rules(authority, ADMIN, allow={"dns": ["ops.test"]}), anyone)
        )
        assert headgate.post("/reload")[0] == 200
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_not_allowed")
        stays.exchange(b"still in")
        elsewhere.exchange(b"still in")
        running.upgrade()
        stays.exchange(b"moved")
        elsewhere.exchange(b"moved")
        headgate.write_config(guarded(backends, leaf, rules(authority, ADMIN, allow={"dns": ["ops.test"]})))
        assert headgate.post("/reload")[0] == 200
        stays.exchange(b"still in")
        cut = headgate.metric("headgate_connections_closed_total", reason="client_not_allowed")
        headgate.write_config(guarded(backends, leaf, rules(authority, ADMIN, allow={"dns": ["guest.test"]})))
        assert headgate.post("/reload")[0] == 200
        headgate.wait_metric("headgate_connections_closed_total", cut + 1, reason="client_not_allowed")
        elsewhere.exchange(b"its name has no rules any more")


def test_the_rules_of_a_name_are_in_force_after_a_reload_and_an_upgrade(line, backends, leaf, authority, ops):
    running = line(guarded(backends, leaf))
    headgate = running.headgate
    served(headgate.port(), ADMIN)
    headgate.write_config(guarded(backends, leaf, rules(authority, ADMIN)))
    assert headgate.post("/reload")[0] == 200
    for _ in range(2):
        refused(headgate, ADMIN, "client_certificate_missing")
        served(headgate.port(), ADMIN, ops)
        served(headgate.port(), "app.test")
        running.upgrade()


def test_a_revocation_list_of_a_name_takes_effect_when_its_file_changes(start, backends, leaf, authority, ops, guest):
    listed = authority.revocation_list(guest, file="by-name.crl")
    headgate = start(guarded(backends, leaf, rules(authority, ADMIN, crl=str(listed))))
    refused(headgate, ADMIN, "client_certificate_revoked", guest)
    with connect(headgate.port(), sni=ADMIN, certificate=ops) as client:
        client.exchange(b"in")
        authority.revocation_list(guest, ops, file="by-name.crl")
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_revoked")


# --- public keys


def test_a_public_key_survives_a_renewal_and_a_fingerprint_does_not(start, backends, leaf, authority, ops, tmp_path):
    spki = tmp_path / "spki.der"
    run(tool("openssl"), "pkey", "-in", ops.key, "-pubout", "-outform", "DER", "-out", spki)
    digest = hashlib.sha256(spki.read_bytes()).hexdigest()
    renewed = authority.issue("renewed.test", client=True, key=ops.key)
    with_colons = ":".join(digest[i : i + 2] for i in range(0, 64, 2)).upper()
    pinned = rules(authority, ADMIN, allow={"public_key": [with_colons]})
    headgate = start(guarded(backends, leaf, pinned))
    served(headgate.port(), ADMIN, ops)
    served(headgate.port(), ADMIN, renewed)
    refused(headgate, ADMIN, "client_certificate_not_allowed", authority.issue("ops.test", client=True))


# --- a dry run


def dry_run(backends, leaf, authority, **more):
    return guarded(
        backends,
        leaf,
        rules(authority, ADMIN, allow={"dns": ["ops.test"]}, **more),
        mode="required",
        ca=str(authority.file),
        tls={"dry_run": ["client_auth"]},
    )


WOULD_REFUSE = "headgate_handshakes_would_refuse_total"


@VERSIONS
def test_a_dry_run_lets_in_counts_and_logs_whom_the_rules_would_refuse(
    start, backends, leaf, authority, ops, guest, tmp_path, version
):
    stranger = Authority(tmp_path / "other", "Another CA").issue("ops.test", client=True)
    expired = authority.issue("ops.test", client=True, not_before=-10 * DAY, not_after=-DAY)
    revoked = authority.issue("ops.test", client=True)
    listed = authority.revocation_list(revoked, file="dry-run.crl")
    headgate = start(dry_run(backends, leaf, authority, crl=str(listed)))
    port = headgate.port()
    served(port, ADMIN, ops, version=version)
    assert headgate.metric(WOULD_REFUSE, policy="client_auth") == 0
    wanted = {
        "client_certificate_missing": None,
        "client_certificate_not_allowed": guest,
        "client_certificate_untrusted": stranger,
        "client_certificate_expired": expired,
        "client_certificate_revoked": revoked,
    }
    for count, (reason, pair) in enumerate(wanted.items(), 1):
        served(port, ADMIN, pair, version=version)
        headgate.wait_metric(WOULD_REFUSE, count, policy="client_auth")
        assert headgate.metric(WOULD_REFUSE, policy="client_auth", reason=reason) == 1
        told = headgate.wait_log(message="let in by a dry run", failure=reason)[0]
        assert told["policy"] == "client_auth" and told["sni"] == ADMIN and told["detail"]
    served(port, "app.test", version=version)
    headgate.wait_metric(WOULD_REFUSE, len(wanted) + 1, policy="client_auth")
    assert headgate.metric("headgate_handshake_failures_total") == 0


def test_a_certificate_that_a_dry_run_lets_in_gives_no_identity(start, backends, leaf, authority, tmp_path):
    stranger = Authority(tmp_path / "other", "Another CA").issue(client=True, uris=["spiffe://prod/ns/web"])
    config = dry_run(backends, leaf, authority)
    config["listeners"][0]["routes"] = [{"spiffe": ["spiffe://prod/ns/*"], "backend": "admin"}]
    headgate = start(config)
    served(headgate.port(), "app.test", stranger)
    ended = headgate.wait_log(message="connection ended")[0]
    assert ended["backend"] == "app" and "peer" not in ended
    served(headgate.port(), "app.test", authority.issue(client=True, uris=["spiffe://prod/ns/web"]))
    assert headgate.wait_log(2, message="connection ended")[1]["backend"] == "admin"


@PYTHON_VERSIONS
def test_a_session_of_a_dry_run_resumes_nothing_when_the_rules_are_in_force(
    start, backends, leaf, authority, ops, version
):
    config = dry_run(backends, leaf, authority)
    headgate = start(config)
    nobody, known = python_context(version=version), python_context(version=version, certificate=ops)
    _, session = visit(headgate.port(), nobody, sni=ADMIN)
    assert not visit(headgate.port(), nobody, session, sni=ADMIN)[0], "a client that would be refused resumes nothing"
    _, of_ops = visit(headgate.port(), known, sni=ADMIN)
    assert visit(headgate.port(), known, of_ops, sni=ADMIN)[0]
    config["listeners"][0]["tls"]["dry_run"] = []
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    refused_session(headgate, nobody, session, ADMIN)
    assert not visit(headgate.port(), known, of_ops, sni=ADMIN)[0]


def test_the_end_of_a_dry_run_cuts_whom_the_rules_refuse(line, backends, leaf, authority, ops, guest):
    config = dry_run(backends, leaf, authority)
    running = line(config)
    headgate = running.headgate
    with (
        connect(headgate.port(), sni=ADMIN, certificate=guest) as gone,
        connect(headgate.port(), sni=ADMIN, certificate=ops) as stays,
    ):
        for client in (gone, stays):
            client.exchange(b"in")
        assert headgate.post("/reload")[0] == 200
        gone.exchange(b"still a dry run")
        running.upgrade()
        gone.exchange(b"still a dry run")
        config["listeners"][0]["tls"]["dry_run"] = []
        headgate.write_config(config)
        assert headgate.post("/reload")[0] == 200
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_not_allowed")
        stays.exchange(b"still in")
    refused(headgate, ADMIN, "client_certificate_missing")
