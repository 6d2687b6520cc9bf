"""Client certificates: which clients may pass, and the reason that a refusal gets."""

import json
import signal

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness.authority import DAY, Authority, Pair, key_usage, replace_file
from harness.config import proxy
from harness.tls_client import TLS12, TLS13, connect, handshake_alert
from harness.tools import headgate_binary, is_on_awslc, run, tool
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


@pytest.mark.parametrize("allow", [{}, {"spiffe": []}])
def test_an_allow_list_without_an_entry_is_a_fault_for_check_and_at_the_start(start, certificate, authority, allow):
    client_auth = {"mode": "required", "ca": str(authority.file), "allow": allow}
    headgate = start(proxy("127.0.0.1:9", certificate, tls={"client_auth": client_auth}), wait=False)
    headgate.expected_exit = 1
    assert headgate.wait_exit() == 1
    told = run(headgate_binary(), "check", "--config", headgate.config_file)
    assert told.returncode == 1
    for text in (headgate.output, told.stdout):
        assert "client_auth.allow: is empty, and would stand for all" in text, text


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


def test_a_suite_without_certificates_is_no_way_around_a_required_one(start, backend, certificate, authority):
    if is_on_awslc():
        pytest.skip("AWS-LC has no suite without certificates")
    anonymous = "AECDH-AES128-SHA:@SECLEVEL=0"
    tls = {"ciphers": f"ECDHE-ECDSA-AES128-GCM-SHA256:{anonymous}"}
    visitor = {"version": TLS12, "ciphers": anonymous}
    passes(start(proxy(backend().address, certificate, tls=tls)), None, **visitor)
    tls["client_auth"] = {"mode": "required", "ca": str(authority.file)}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    handshake_alert(headgate.port(), **visitor)
    headgate.wait_metric("headgate_handshakes_total", 1, result="failed")
    assert headgate.metric("headgate_handshakes_total", result="ok") == 0


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


def der_of(crl):
    return x509.load_pem_x509_crl(crl.read_bytes()).public_bytes(serialization.Encoding.DER)


def indented(pem):
    return b"".join(b"  " + line + b"\n" for line in pem.splitlines())


# Each file has two lists in it, and a reader that stops early takes the second one for no list.
HALF_READ = {
    "two lists of DER in a row": lambda one, two: der_of(one) + der_of(two),
    "a second list of another label": lambda one, two: one.read_bytes() + two.read_bytes().replace(b"X509 ", b""),
    "an indented second list": lambda one, two: one.read_bytes() + indented(two.read_bytes()),
    "a second list whose BEGIN is damaged": lambda one, two: one.read_bytes() + two.read_bytes()[1:],
    "a second list behind no line break": lambda one, two: one.read_bytes().rstrip() + two.read_bytes(),
}


@pytest.mark.parametrize("what", HALF_READ)
def test_a_list_that_would_be_passed_over_is_a_fault(certificate, authority, tmp_path, what):
    one, two = (authority.issue(client=True) for _ in range(2))
    lists = [authority.revocation_list(pair, file=f"half-{pair.x509.serial_number}.crl") for pair in (one, two)]
    crl = tmp_path / "lists"
    crl.write_bytes(HALF_READ[what](*lists))
    client_auth = {"mode": "required", "ca": str(authority.file), "crl": str(crl)}
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(proxy("127.0.0.1:9", certificate, tls={"client_auth": client_auth})))
    checked = run(headgate_binary(), "check", "--config", file)
    assert checked.returncode == 1 and f"client_auth.crl: {crl}: " in checked.stdout + checked.stderr, checked


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


def test_an_upgrade_to_a_list_that_cannot_be_used_is_refused(guarded, authority):
    """The new process has no list before to keep in force, so the old one goes on with everything."""
    revoked, other = authority.issue(client=True), authority.issue(client=True)
    crl = authority.revocation_list(revoked, file=f"upgrade-{revoked.x509.serial_number}.crl")
    headgate = guarded(crl=str(crl))
    replace_file(crl, crl.read_bytes()[:200])
    headgate.signal(signal.SIGUSR2)
    headgate.wait_log(message="the upgrade failed: this process carries on with everything")
    assert "revoked" in refused(headgate, revoked, "client_certificate_revoked")
    passes(headgate, other)


ONE_POINT = [x509.UniformResourceIdentifier("http://ca.test/7.crl")]


def scope(**named):
    """An issuingDistributionPoint with one field."""
    fields = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**fields, **named})


PARTIAL = {
    "onlyContainsCACerts": scope(only_contains_ca_certs=True),
    "onlyContainsUserCerts": scope(only_contains_user_certs=True),
    "onlyContainsAttributeCerts": scope(only_contains_attribute_certs=True),
    "onlySomeReasons": scope(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise])),
    "indirectCRL": scope(indirect_crl=True),
    "one distribution point": scope(full_name=ONE_POINT),
    "delta list": x509.DeltaCRLIndicator(1),
    "critical extension 1.2.3.4": x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
}


@pytest.mark.parametrize("why", PARTIAL)
def test_a_revocation_list_that_is_not_complete_is_refused_by_name(start, backend, certificate, authority, why):
    """At the start it is a fault; after a reload the list before stays in force."""
    revoked, other = authority.issue(client=True), authority.issue(client=True)
    stem = f"partial-{revoked.x509.serial_number}"
    partial = authority.revocation_list(other, file=f"{stem}.crl", critical=PARTIAL[why])
    client_auth = {"mode": "required", "ca": str(authority.file), "crl": str(partial)}
    config = proxy(backend().address, certificate, tls={"client_auth": client_auth})
    file = partial.with_suffix(".yaml")
    file.write_text(json.dumps(config))
    checked = run(headgate_binary(), "check", "--config", file)
    told = checked.stdout + checked.stderr
    assert checked.returncode == 1 and str(partial) in told and why in told and "complete list" in told

    authority.revocation_list(revoked, file=partial.name)
    headgate = start(config)
    authority.revocation_list(other, file=partial.name, critical=PARTIAL[why])
    assert headgate.post("/reload")[0] == 200
    wait_until(lambda: "the list before stays in force" in headgate.output, "the fault is logged")
    assert "revoked" in refused(headgate, revoked, "client_certificate_revoked")
    passes(headgate, other)


def test_a_revocation_list_is_refused_when_its_signer_may_sign_none(start, certificate, tmp_path):
    other = Authority(tmp_path / "other", usage=key_usage(leaf=False, crl_sign=False))
    client_auth = {"mode": "required", "ca": str(other.file), "crl": str(other.revocation_list())}
    headgate = start(proxy("127.0.0.1:9", certificate, tls={"client_auth": client_auth}), wait=False)
    headgate.expected_exit = 1
    assert headgate.wait_exit() == 1
    assert "may not sign lists" in headgate.output


def test_the_list_of_one_authority_says_nothing_about_another_of_its_name(guarded, authority, tmp_path):
    """Serial numbers of the two are the same, too."""
    one, two = Authority(tmp_path / "one", "Same name"), Authority(tmp_path / "two", "Same name")
    first, second = one.issue(client=True), two.issue(client=True)
    assert first.x509.serial_number == second.x509.serial_number
    both, lists = tmp_path / "both.pem", tmp_path / "lists.crl"
    both.write_bytes(two.file.read_bytes() + one.file.read_bytes())
    lists.write_bytes(one.revocation_list().read_bytes())
    headgate = guarded(ca=str(both), crl=str(lists))
    passes(headgate, first)
    refused(headgate, second, "client_certificate_untrusted")
    assert headgate.metric("headgate_client_certificate_faults_total", fault="no_revocation_list") == 1
    replace_file(lists, one.revocation_list(first).read_bytes() + two.revocation_list().read_bytes())
    assert headgate.post("/reload")[0] == 200
    refused(headgate, first, "client_certificate_revoked")
    passes(headgate, second)


ENCODINGS = [_ASN1Type.UTF8String, _ASN1Type.PrintableString]


@pytest.mark.parametrize("new_first", [False, True], ids=["old_first", "new_first"])
@pytest.mark.parametrize("encodings", [ENCODINGS, ENCODINGS[::-1]], ids=["from_utf8", "from_printable"])
def test_the_list_of_an_authority_counts_for_each_encoding_of_its_name(guarded, tmp_path, encodings, new_first):
    """A CA was renewed with its key, and its name is in another string type since: RFC 5280, section 7.1, takes the two
    for one name. Its old certificate has expired, and its lists have the old name."""
    ca = Authority(tmp_path / "ca", "Two encodings")
    ca.renew(not_after=-DAY, encoding=encodings[0])
    old = ca.file.read_bytes()
    middle = ca.intermediate("Middle")
    good, revoked, below = ca.issue(client=True), ca.issue(client=True), middle.issue(client=True)
    of_leaf = ca.revocation_list(revoked, file="leaf.crl").read_bytes()
    of_middle = ca.revocation_list(below._replace(x509=middle.certificate), file="middle.crl").read_bytes()
    ca.renew(encoding=encodings[1])
    cas, lists = tmp_path / "cas.pem", tmp_path / "lists.crl"
    both = [old, ca.file.read_bytes()]
    cas.write_bytes(b"".join(reversed(both) if new_first else both) + middle.file.read_bytes())
    lists.write_bytes(of_leaf + middle.revocation_list().read_bytes())
    headgate = guarded(ca=str(cas), crl=str(lists))
    passes(headgate, good)
    passes(headgate, below)
    refused(headgate, revoked, "client_certificate_revoked")
    replace_file(lists, of_middle + middle.revocation_list().read_bytes())
    assert headgate.post("/reload")[0] == 200
    passes(headgate, revoked)
    assert "revoked" in handshake_alert(headgate.port(), certificate=below)


def test_a_rolled_over_authority_needs_a_list_by_each_of_its_keys(guarded, tmp_path):
    """Both keys are the authority's own, and a list is about the certificates of the key that signed it."""
    old, new = Authority(tmp_path / "old", "Rolled over"), Authority(tmp_path / "new", "Rolled over")
    below_old, below_new = old.issue(client=True), new.issue(client=True)
    both, lists = tmp_path / "both.pem", tmp_path / "lists.crl"
    both.write_bytes(old.file.read_bytes() + new.file.read_bytes())
    lists.write_bytes(old.revocation_list().read_bytes() + new.revocation_list().read_bytes())
    headgate = guarded(ca=str(both), crl=str(lists))
    passes(headgate, below_old)
    passes(headgate, below_new)


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


def constrained(authority, **subtrees):
    """An intermediate CA with name constraints."""
    constraints = {"permitted_subtrees": None, "excluded_subtrees": None, **subtrees}
    return authority.intermediate(f"Constrained {len(subtrees)}", extensions=[x509.NameConstraints(**constraints)])


def outside_its_names(authority, names, **subtrees):
    return constrained(authority, **subtrees).issue(*names, client=True)


def outside_its_uris(authority):
    inside = [x509.UniformResourceIdentifier("prod")]
    return constrained(authority, permitted_subtrees=inside).issue(client=True, uris=["spiffe://staging/web"])


def below_a_ca_for_servers(authority):
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return authority.intermediate("For servers", extensions=[usage]).issue(client=True)


def below_an_expired_ca(authority):
    return authority.intermediate("Expired", not_after=-DAY).issue(client=True)


def below_a_leaf(authority):
    """A client that signs a certificate with its own key."""
    own = Authority(authority.directory / "own", "client")
    leaf = authority.issue(client=True)
    own._key = serialization.load_pem_private_key(leaf.key.read_bytes(), None)
    own.certificate = leaf.x509
    below = own.issue(client=True, common_name="admin")
    replace_file(below.certificate, below.certificate.read_bytes() + leaf.certificate.read_bytes())
    return below


DNS_TREE = [x509.DNSName("clients.test")]
BAD_CLIENTS = {
    "SHA-1": lambda ca: ca.issue(client=True, digest=hashes.SHA1()),
    "not among the permitted names": lambda ca: outside_its_names(ca, ["a.other.test"], permitted_subtrees=DNS_TREE),
    "among the excluded names": lambda ca: outside_its_names(ca, ["a.clients.test"], excluded_subtrees=DNS_TREE),
    "not among the permitted URIs": outside_its_uris,
    "a CA for servers": below_a_ca_for_servers,
    "an expired CA": below_an_expired_ca,
    "a leaf as a CA": below_a_leaf,
    "an unknown critical extension": lambda ca: ca.intermediate(
        "Unknown", extensions=[x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")]
    ).issue(client=True),
}


@pytest.mark.parametrize("what", BAD_CLIENTS)
def test_a_client_certificate_that_is_weak_or_outside_its_constraints_is_refused(guarded, authority, what):
    headgate = guarded()
    try:
        bad = BAD_CLIENTS[what](authority)
    except UnsupportedAlgorithm:
        pytest.skip("this version of cryptography does not sign with SHA-1")
    for version in (TLS12, TLS13):
        assert "alert" in handshake_alert(
            headgate.port(), certificate=bad, version=version, ciphers="ALL:@SECLEVEL=0"
        )
    assert headgate.metric("headgate_handshakes_total", result="ok") == 0
    inside = constrained(authority, permitted_subtrees=DNS_TREE)
    passes(headgate, inside.issue("a.clients.test", client=True))


def signed_with_sha1(directory, ca, subject, *options, key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """A client's certificate by openssl, because the library of this test does not sign with SHA-1. `ca` is (certificate,
    key), or None for a client that signs itself."""
    made, private = directory / "sha1.pem", directory / "sha1.key"
    request, extensions = directory / "sha1.csr", directory / "sha1.ext"
    extensions.write_text("extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n")
    openssl = tool("openssl")
    run(openssl, "req", "-new", "-newkey", *key, "-nodes", "-keyout", private, "-subj", subject, "-out", request)
    signer = ("-signkey", private) if ca is None else ("-CA", ca[0], "-CAkey", ca[1])
    told = run(openssl, "x509", "-req", "-in", request, *signer, "-sha1", *options, "-days", "30",
               "-extfile", extensions, "-out", made)  # fmt: skip
    assert told.returncode == 0, told
    return Pair(made, private, None)


@VERSIONS
def test_a_signature_with_sha1_is_refused_in_every_form(guarded, tmp_path, version):
    """By RSA-PSS, and below a CA with the client's own name."""
    ca, ca_key = tmp_path / "rsa-ca.pem", tmp_path / "rsa-ca.key"
    run(tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", ca_key, "-out", ca, "-subj", "/CN=ca",
        "-days", "30")  # fmt: skip
    headgate = guarded(ca=str(ca))
    for subject, options in (("/CN=x", ("-sigopt", "rsa_padding_mode:pss")), ("/CN=ca", ()), ("/CN=x", ())):
        bad = signed_with_sha1(tmp_path, (ca, ca_key), subject, *options)
        assert "alert" in handshake_alert(headgate.port(), certificate=bad, version=version, ciphers="ALL:@SECLEVEL=0")
    headgate.wait_metric("headgate_handshake_failures_total", 3, reason="client_certificate_untrusted")
    assert "digest algorithm too weak" in headgate.output


@VERSIONS
@pytest.mark.parametrize("key", [("ed448",), ("ec", "-pkeyopt", "ec_paramgen_curve:prime192v1")], ids=["ed448", "p192"])
def test_a_forged_intermediate_with_an_odd_key_is_no_fault_of_headgates(guarded, authority, tmp_path, version, key):
    """Any client can make one: it names the trusted CA as its issuer, which has not signed it."""
    openssl, of_ca, of_leaf = tool("openssl"), tmp_path / "ca.ext", tmp_path / "leaf.ext"
    of_ca.write_text("basicConstraints=critical,CA:TRUE\nauthorityKeyIdentifier=none\nsubjectKeyIdentifier=none\n")
    of_leaf.write_text("extendedKeyUsage=clientAuth\nauthorityKeyIdentifier=none\nsubjectKeyIdentifier=none\n")
    subject = f"/CN={authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value}"
    p256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")

    def made(name, subject, key, *signer):
        request = tmp_path / f"{name}.csr"
        run(openssl, "req", "-new", "-newkey", *key, "-nodes", "-keyout", tmp_path / f"{name}.key", "-subj", subject,
            "-out", request)  # fmt: skip
        told = run(openssl, "x509", "-req", "-in", request, "-days", "30", "-out", tmp_path / f"{name}.pem", *signer)
        assert told.returncode == 0, told
        return tmp_path / f"{name}.pem"

    def signer(name, extensions):
        return "-CA", tmp_path / f"{name}.pem", "-CAkey", tmp_path / f"{name}.key", "-extfile", extensions

    made("root", subject, p256, "-signkey", tmp_path / "root.key")
    between = made("between", "/CN=between", key, *signer("root", of_ca))
    leaf = made("leaf", "/CN=leaf", p256, *signer("between", of_leaf))
    leaf.write_text(leaf.read_text() + between.read_text())
    headgate = guarded()
    assert "alert" in handshake_alert(
        headgate.port(), certificate=Pair(leaf, tmp_path / "leaf.key", None), version=version, ciphers="ALL:@SECLEVEL=0"
    )
    headgate.wait_metric("headgate_handshake_failures_total", 1, reason="client_certificate_untrusted")
    assert headgate.metric("headgate_handshake_failures_total", reason="internal") == 0


@VERSIONS
def test_the_signature_of_a_trusted_certificate_does_not_count(guarded, tmp_path, version):
    own = signed_with_sha1(tmp_path, None, "/CN=pinned")
    passes(guarded(ca=str(own.certificate)), own, version=version, ciphers="ALL:@SECLEVEL=0")


def test_an_expired_ca_beside_its_renewed_form_does_no_harm(guarded, authority, tmp_path):
    """Both forms have one name and one key."""
    peer, both = authority.issue(client=True), tmp_path / "both.pem"
    current = authority.file.read_bytes()
    authority.renew(not_after=-DAY)
    both.write_bytes(authority.file.read_bytes() + current)
    authority.renew()
    headgate = guarded(ca=str(both))
    assert "expired on" in headgate.output
    passes(headgate, peer)


NO_WORKLOADS = {
    "two URIs": (["spiffe://prod/a", "spiffe://prod/b"], {}),
    "an empty URI": (["spiffe://prod/a", ""], {}),
    "an URI with a zero": (["spiffe://prod/a", "x\0y"], {}),
    "a zero in its own URI": (["spiffe://prod/a\0.evil"], {}),
    "no path": (["spiffe://prod"], {}),
    "an upper-case trust domain": (["spiffe://Prod/a"], {}),
    "an upper-case scheme": (["SPIFFE://prod/a"], {}),
    "a slash at the end": (["spiffe://prod/a/"], {}),
    "an empty segment": (["spiffe://prod//a"], {}),
    "a segment of dots": (["spiffe://prod/../a"], {}),
    "a percent code": (["spiffe://prod/%61"], {}),
    "a query": (["spiffe://prod/a?b"], {}),
    "a fragment": (["spiffe://prod/a#b"], {}),
    "a user": (["spiffe://user@prod/a"], {}),
    "a port": (["spiffe://prod:443/a"], {}),
    "no trust domain": (["spiffe:///a"], {}),
    "a star": (["spiffe://prod/*"], {}),
    "more than 2048 bytes": (["spiffe://prod/" + 2048 * "a"], {}),
    "a CA": (["spiffe://prod/a"], {"ca": True, "usage": key_usage(leaf=True, key_cert_sign=True)}),
    "a CA without the usage": (["spiffe://prod/a"], {"ca": True}),
    "a signer of lists": (["spiffe://prod/a"], {"usage": key_usage(leaf=True, crl_sign=True)}),
    "a key of no signatures": (["spiffe://prod/a"], {"usage": key_usage(leaf=True, digital_signature=False)}),
}


@pytest.mark.parametrize("what", NO_WORKLOADS)
def test_a_certificate_that_is_no_x509_svid_has_no_spiffe_id(guarded, authority, what):
    """X509-SVID, sections 3.1, 4.3 and 5.2."""
    uris, options = NO_WORKLOADS[what]
    headgate = guarded(allow={"spiffe": ["spiffe://*/*", "spiffe://prod"]})
    passes(headgate, authority.issue_svid("spiffe://prod/a"))
    assert "alert" in handshake_alert(headgate.port(), certificate=authority.issue_svid(*uris, **options))
    assert headgate.metric("headgate_handshakes_total", result="ok") == 1


@VERSIONS
def test_the_ca_of_one_trust_domain_vouches_for_no_other(guarded, authority, tmp_path, version):
    other = Authority(tmp_path / "other", "CA of staging")
    headgate = guarded(ca={"prod": str(authority.file), "staging": str(other.file)})
    passes(headgate, authority.issue(client=True, uris=["spiffe://prod/web"]), version=version)
    passes(headgate, other.issue(client=True, uris=["spiffe://staging/web"]), version=version)
    strangers = [
        other.issue(client=True, uris=["spiffe://prod/web"]),
        authority.issue(client=True, uris=["spiffe://staging/web"]),
        authority.issue(client=True, uris=["spiffe://elsewhere/web"]),
        authority.issue("prod", client=True),
        authority.issue(client=True),
    ]
    for number, pair in enumerate(strangers, 1):
        alert = handshake_alert(headgate.port(), certificate=pair, version=version)
        assert "unknown ca" in alert
        headgate.wait_metric("headgate_handshake_failures_total", number, reason="client_certificate_untrusted")
    assert headgate.metric("headgate_client_certificate_faults_total", fault="unknown_ca") == len(strangers)


def test_a_chain_over_an_intermediate_ends_at_a_ca_of_its_own_trust_domain(guarded, authority, tmp_path):
    """The intermediate is cross-signed by the CAs of both domains. The client sends both forms of it, then the other
    domain's alone."""
    other = Authority(tmp_path / "other", "CA of staging")
    middle = authority.intermediate("Shared intermediate")
    below = middle.issue(client=True, uris=["spiffe://prod/web"])
    by_other = middle.cross_signed_by(other)
    leaf, own, others = (
        one.public_bytes(serialization.Encoding.PEM) for one in (below.x509, middle.certificate, by_other)
    )
    replace_file(below.certificate, leaf + own + others)
    headgate = guarded(ca={"prod": str(authority.file), "staging": str(other.file)})
    passes(headgate, below)
    replace_file(below.certificate, leaf + others)
    refused(headgate, below, "client_certificate_untrusted")


def test_a_ca_for_a_trust_domain_is_shown_explained_and_refused_by_name(certificate, authority, tmp_path):
    config = proxy("127.0.0.1:9", certificate, tls={"client_auth": {"mode": "required", "ca": {"prod": "ca.pem"}}})
    (tmp_path / "ca.pem").write_bytes(authority.file.read_bytes())
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(config))
    shown = run(headgate_binary(), "show", "--config", file)
    assert f'"prod": "{tmp_path}/ca.pem"' in shown.stdout, shown

    def explained(pair):
        asked = ["--listener", "web", "--sni", "app.test", "--client-cert", pair.certificate]
        return run(headgate_binary(), "explain", "--config", file, *asked).stdout

    assert "spiffe://prod/web: allowed" in explained(authority.issue(client=True, uris=["spiffe://prod/web"]))
    assert "no CA in `ca`" in explained(authority.issue(client=True, uris=["spiffe://test/web"]))
    assert "is that of no workload" in explained(authority.issue("prod", client=True))

    (tmp_path / "ca.pem").unlink()
    checked = run(headgate_binary(), "check", "--config", file)
    assert checked.returncode == 1 and f"client_auth.ca.prod: {tmp_path}/ca.pem" in checked.stdout + checked.stderr
    file.write_text(json.dumps(config).replace('"prod"', '"spiffe://Prod"'))
    checked = run(headgate_binary(), "check", "--config", file)
    assert checked.returncode == 1 and "is not a trust domain" in checked.stdout + checked.stderr


def trusted_form(pair_file, to, *options):
    """Writes the "TRUSTED CERTIFICATE" form that OpenSSL and the bundles of Red Hat have."""
    made = run(tool("openssl"), "x509", "-in", pair_file, "-trustout", *options, "-out", to)
    assert made.returncode == 0 and "BEGIN TRUSTED CERTIFICATE" in to.read_text(), made
    return to


def test_a_file_of_trusted_certificates_is_read(start, backend, authority, tmp_path):
    """As `ca`, and as the chain that the listener presents."""
    ca = trusted_form(authority.file, tmp_path / "ca.pem", "-addtrust", "clientAuth")
    site = authority.issue("app.test")
    served = site._replace(certificate=trusted_form(site.certificate, tmp_path / "site.pem", "-addtrust", "serverAuth"))
    headgate = start(proxy(backend().address, served, tls={"client_auth": {"mode": "required", "ca": str(ca)}}))
    pair = authority.issue(client=True)
    with connect(headgate.port(), certificate=pair) as client:
        client.exchange(b"let in")
        assert client.certificate() == site.x509


@pytest.mark.parametrize("options", [("-addreject", "clientAuth"), ("-addtrust", "serverAuth")])
def test_a_certificate_that_its_file_declares_not_to_be_trusted_is_left_out(guarded, authority, tmp_path, options):
    other = Authority(tmp_path / "other", "Distrusted CA")
    both = trusted_form(other.file, tmp_path / "both.pem", *options)
    both.write_bytes(both.read_bytes() + authority.file.read_bytes())
    headgate = guarded(ca=str(both))
    assert "not to be trusted for clients" in headgate.output
    passes(headgate, authority.issue(client=True))
    refused(headgate, other.issue(client=True), "client_certificate_untrusted")


@VERSIONS
def test_a_certificate_for_servers_alone_passes_where_any_purpose_will_do(guarded, authority, version):
    peer = authority.issue("app.test")
    headgate = guarded(purpose="any")
    passes(headgate, peer, version=version)
    text = headgate.config_file.read_text()
    headgate.config_file.write_text(text.replace('"purpose": "any"', '"purpose": "client"'))
    headgate.wait_metric("headgate_reloads_total", result="ok")
    refused(headgate, peer, "client_certificate_untrusted", version=version)
