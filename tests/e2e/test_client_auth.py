"""Client certificates: which clients may pass, and the reason that a refusal gets."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from harness.authority import DAY, Authority, replace_file
from harness.config import proxy
from harness.tls_client import TLS12, TLS13, connect, handshake_alert
from harness.waiting import wait_until

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])


@pytest.fixture
def guarded(start, backend, certificate, authority):
    """Starts Headgate with client_auth. The keys that a test gives are added to `mode: required` and the authority, or
    replace them."""

    def start_guarded(**client_auth):
        client_auth = {"mode": "required", "ca": str(authority.file), **client_auth}
        return start(proxy(backend().address, certificate, tls={"client_auth": client_auth}))

    return start_guarded


def passes(headgate, pair, **options):
    with connect(headgate.port(), certificate=pair, **options) as client:
        client.exchange(b"let in")


def refused(headgate, pair, reason, **options):
    """Returns the alert that refuses `pair`. The operator sees `reason`."""
    alert = handshake_alert(headgate.port(), certificate=pair, **options)
    headgate.wait_metric("headgate_handshake_failures_total", 1, reason=reason)
    return alert


@VERSIONS
def test_a_client_with_a_good_certificate_passes(guarded, authority, version):
    passes(guarded(), authority.issue(client=True), version=version)


@VERSIONS
def test_a_client_without_a_certificate_is_refused_where_one_is_required(guarded, version):
    alert = refused(guarded(), None, "client_certificate_missing", version=version)
    assert "certificate required" in alert or "handshake failure" in alert


@VERSIONS
def test_a_client_without_a_certificate_passes_where_it_is_optional(guarded, version):
    passes(guarded(mode="optional"), None, version=version)


def test_a_bad_certificate_is_refused_even_where_it_is_optional(guarded, tmp_path):
    stranger = Authority(tmp_path / "other", "Another CA").issue(client=True)
    refused(guarded(mode="optional"), stranger, "client_certificate_untrusted")


@VERSIONS
def test_a_certificate_of_another_authority_is_refused(guarded, tmp_path, version):
    stranger = Authority(tmp_path / "other", "Another CA").issue(client=True)
    assert "unknown ca" in refused(guarded(), stranger, "client_certificate_untrusted", version=version)


@VERSIONS
def test_an_expired_certificate_is_refused(guarded, authority, version):
    old = authority.issue(client=True, not_before=-10 * DAY, not_after=-DAY)
    assert "expired" in refused(guarded(), old, "client_certificate_expired", version=version)


def test_a_servers_certificate_is_no_clients(guarded, authority):
    server = authority.issue("app.test")
    alert = handshake_alert(guarded().port(), certificate=server)
    assert "certificate" in alert or "unsupported" in alert


def test_a_chain_over_an_intermediate_passes(guarded, authority):
    passes(guarded(), authority.intermediate().issue(client=True))


@VERSIONS
def test_a_revoked_certificate_is_refused(guarded, authority, version):
    revoked, good = authority.issue(client=True), authority.issue(client=True)
    headgate = guarded(crl=str(authority.revocation_list(revoked, file=f"{revoked.certificate.stem}.crl")))
    assert "revoked" in refused(headgate, revoked, "client_certificate_revoked", version=version)
    passes(headgate, good, version=version)


ALLOWED = [
    ("spiffe", "spiffe://prod/ns/web/*", {"uris": ["spiffe://prod/ns/web/front"]}, {"uris": ["spiffe://prod/ns/db/x"]}),
    ("uri", "https://id.test/*", {"uris": ["https://id.test/7"]}, {"uris": ["https://other.test/7"]}),
    ("dns", "*.clients.test", {"dns": "a.clients.test"}, {"dns": "a.b.clients.test"}),
    ("common_name", "alice", {"common_name": "alice"}, {"common_name": "mallory"}),
    ("organizational_unit", "ops", {"unit": "ops"}, {"unit": "sales"}),
]


def issue(authority, dns=None, **options):
    return authority.issue(*([dns] if dns else []), client=True, **options)


@pytest.mark.parametrize("key, pattern, allowed, other", ALLOWED, ids=[row[0] for row in ALLOWED])
@VERSIONS
def test_only_a_peer_of_the_allow_list_passes(guarded, authority, key, pattern, allowed, other, version):
    headgate = guarded(allow={key: [pattern]})
    passes(headgate, issue(authority, **allowed), version=version)
    refused(headgate, issue(authority, **other), "client_certificate_not_allowed", version=version)


def test_only_a_certificate_of_an_allowed_fingerprint_passes(guarded, authority):
    ours, other = authority.issue(client=True), authority.issue(client=True)
    headgate = guarded(allow={"fingerprint": [ours.fingerprint]})
    passes(headgate, ours)
    refused(headgate, other, "client_certificate_not_allowed")


def test_any_one_match_of_the_allow_list_is_enough(guarded, authority):
    headgate = guarded(allow={"common_name": ["alice"], "spiffe": ["spiffe://prod/*"]})
    passes(headgate, authority.issue(client=True, common_name="alice"))
    passes(headgate, authority.issue(client=True, uris=["spiffe://prod/bob"]))


def test_a_glob_never_crosses_the_trust_domain(guarded, authority):
    headgate = guarded(allow={"spiffe": ["spiffe://prod*/ns/web"]})
    refused(
        headgate, authority.issue(client=True, uris=["spiffe://prod.evil/x/ns/web"]), "client_certificate_not_allowed"
    )


def test_a_refused_client_does_not_reach_the_backend(start, backend, certificate, authority):
    one = backend()
    client_auth = {"mode": "required", "ca": str(authority.file), "allow": {"common_name": ["alice"]}}
    headgate = start(proxy(one.address, certificate, tls={"client_auth": client_auth}))
    handshake_alert(headgate.port(), certificate=authority.issue(client=True, common_name="mallory"))
    assert one.accepted == 0


@VERSIONS
def test_a_connected_client_is_cut_when_its_certificate_is_revoked(guarded, authority, version):
    peer, other = authority.issue(client=True), authority.issue(client=True)
    crl = peer.certificate.with_suffix(".crl")
    authority.revocation_list(other, file=crl.name)
    headgate = guarded(crl=str(crl))
    with connect(headgate.port(), certificate=peer, version=version) as client:
        client.exchange(b"let in")
        authority.revocation_list(peer, file=crl.name)
        headgate.wait_metric("headgate_connections_closed_total", 1, reason="client_revoked")


def test_a_revocation_list_may_be_der(guarded, authority, tmp_path):
    revoked, good = authority.issue(client=True), authority.issue(client=True)
    pem = authority.revocation_list(revoked, file="to-der.crl")
    der = tmp_path / "list.der"
    der.write_bytes(x509.load_pem_x509_crl(pem.read_bytes()).public_bytes(serialization.Encoding.DER))
    headgate = guarded(crl=str(der))
    assert "revoked" in refused(headgate, revoked, "client_certificate_revoked")
    passes(headgate, good)


def test_lists_of_several_issuers_may_share_a_file(guarded, authority, tmp_path):
    other = Authority(tmp_path / "other", "Other CA")
    both_cas, both_lists = tmp_path / "cas.pem", tmp_path / "lists.pem"
    both_cas.write_bytes(authority.file.read_bytes() + other.file.read_bytes())
    ours, theirs = authority.issue(client=True), other.issue(client=True)
    lists = [authority.revocation_list(ours, file="several.crl"), other.revocation_list(theirs)]
    both_lists.write_bytes(b"".join(one.read_bytes() for one in lists))
    headgate = guarded(ca=str(both_cas), crl=str(both_lists))
    for revoked in (ours, theirs):
        assert "revoked" in handshake_alert(headgate.port(), certificate=revoked)
    headgate.wait_metric("headgate_handshake_failures_total", 2, reason="client_certificate_revoked")
    passes(headgate, authority.issue(client=True))
    passes(headgate, other.issue(client=True))


@pytest.mark.parametrize("what", ["stale", "half", "foreign"])
def test_a_revocation_list_that_cannot_be_used_leaves_the_one_before_in_force(guarded, authority, tmp_path, what):
    revoked, other = authority.issue(client=True), authority.issue(client=True)
    crl = authority.revocation_list(revoked, file=f"{what}.crl")
    headgate = guarded(crl=str(crl))
    if what == "stale":
        authority.revocation_list(other, file=crl.name, last_update=-10 * DAY, next_update=-DAY)
    elif what == "half":
        replace_file(crl, crl.read_bytes()[:200])
    else:
        replace_file(crl, Authority(tmp_path / "foreign", "Foreign CA").revocation_list(other).read_bytes())
    assert headgate.post("/reload")[0] == 200
    wait_until(lambda: "the list before stays in force" in headgate.output, "the fault is logged")
    assert headgate.metric("headgate_file_faults_total") >= 1
    assert "revoked" in refused(headgate, revoked, "client_certificate_revoked")
    passes(headgate, other)


class Above:
    """An authority with the certificates above it, which a client has to send with its leaf."""

    def __init__(self, root, intermediates):
        self.line = []
        for number in range(intermediates):
            root = root.intermediate(f"Intermediate {number}")
            self.line.append(root)

    def issue(self):
        pair = self.line[-1].issue(client=True)
        chain = b"".join(one.file.read_bytes() for one in reversed(self.line[:-1]))
        replace_file(pair.certificate, pair.certificate.read_bytes() + chain)
        return pair


def test_a_chain_has_eight_certificates_at_most(guarded, authority):
    headgate = guarded()
    passes(headgate, Above(authority, 6).issue())  # with leaf and root, eight
    refused(headgate, Above(authority, 9).issue(), "client_certificate_untrusted")


def test_the_peer_hears_an_alert_and_the_operator_the_reason(guarded, authority):
    headgate = guarded(allow={"common_name": ["alice"]})
    mallory = authority.issue(client=True, common_name="mallory")
    alert = handshake_alert(headgate.port(), certificate=mallory)
    assert "alert" in alert and "mallory" not in alert and "allow" not in alert
    wait_until(lambda: "client_certificate_not_allowed" in headgate.output, "the refusal is logged")
    assert "the certificate of mallory" in headgate.output
    headgate.wait_metric("headgate_handshake_failures_total", reason="client_certificate_not_allowed")
