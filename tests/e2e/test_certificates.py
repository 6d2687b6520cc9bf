"""Which certificate a client gets, and which certificates are refused at the start."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID

from harness.authority import DAY, Authority
from harness.config import certificate_entry, proxy
from harness.headgate import Headgate
from harness.tls_client import TLS12, TLS13, TlsClient, alerts_in, connect, handshake_alert, python_tls, read_to_end
from harness.tools import run, tool

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])


@pytest.fixture(scope="module")
def leaves(authority):
    """Certificates by their use."""
    return {
        "default": authority.issue("default.test"),
        "exact": authority.issue("a.example.test"),
        "wildcard": authority.issue("*.example.test"),
    }


@pytest.fixture
def selecting(start, backend, leaves):
    """Headgate with a default, an exact and a wildcard certificate."""
    return start(proxy(backend().address, leaves["default"], leaves["exact"], leaves["wildcard"]))


def served(headgate, sni, **options):
    with connect(headgate.port(), sni=sni, **options) as client:
        return client.certificate()


@VERSIONS
def test_an_exact_name_wins_over_the_wildcard_that_covers_it(selecting, leaves, version):
    assert served(selecting, "a.example.test", version=version) == leaves["exact"].x509


@VERSIONS
def test_a_wildcard_covers_one_label(selecting, leaves, version):
    assert served(selecting, "b.example.test", version=version) == leaves["wildcard"].x509


def test_a_wildcard_covers_neither_two_labels_nor_none(selecting, leaves):
    assert served(selecting, "c.b.example.test") == leaves["default"].x509
    assert served(selecting, "example.test") == leaves["default"].x509


def test_names_are_compared_without_case(selecting, leaves):
    assert served(selecting, "A.Example.TEST") == leaves["exact"].x509


def test_an_unknown_name_gets_the_first_certificate_by_default(selecting, leaves):
    assert served(selecting, "nobody.invalid") == leaves["default"].x509


def test_a_client_without_sni_gets_the_first_certificate(selecting, leaves):
    assert served(selecting, None) == leaves["default"].x509


@VERSIONS
def test_an_unknown_name_is_rejected_with_unrecognized_name_where_that_is_asked(start, backend, leaves, version):
    headgate = start(proxy(backend().address, leaves["exact"], tls={"unknown_name": "reject"}))
    with TlsClient(headgate.port(), sni="nobody.invalid", version=version) as client:
        client.socket.sendall(client.client_hello())
        wire = b""
        while chunk := client.socket.recv(65536):
            wire += chunk
    assert (2, 112) in alerts_in(wire)
    headgate.wait_metric("headgate_handshake_failures_total", reason="unknown_name")
    assert served(headgate, "a.example.test") == leaves["exact"].x509


MISSING_EXTENSION, UNRECOGNIZED_NAME = 109, 112


@pytest.mark.parametrize(
    ("version", "alert", "word"),
    [(TLS13, MISSING_EXTENSION, "missing_extension"), (TLS12, UNRECOGNIZED_NAME, "unrecognized_name")],
    ids=["tls13", "tls12"],
)
@pytest.mark.parametrize("name", [None, "."], ids=["no name", "a final dot alone"])
def test_a_client_that_names_no_server_is_rejected_where_that_is_asked(
    start, backend, leaves, version, alert, word, name
):
    headgate = start(proxy(backend().address, leaves["exact"], tls={"missing_name": "reject"}))
    with TlsClient(headgate.port(), sni=name, version=version) as client:
        client.socket.sendall(client.client_hello())
        assert alerts_in(read_to_end(client.socket)) == [(2, alert)]
    headgate.wait_metric("headgate_handshake_failures_total", reason="unknown_name", alert=word)
    assert "the client named no server" in headgate.wait_log(reason="handshake_failed")[0]["detail"]
    assert served(headgate, "nobody.invalid") == leaves["exact"].x509


@VERSIONS
def test_a_client_that_verifies_only_rsa_gets_the_rsa_certificate(
    start, backend, certificate, rsa_certificate, version
):
    headgate = start(proxy(backend().address, certificate, rsa_certificate))
    if version == TLS12:
        with connect(headgate.port(), version=version, ciphers="ECDHE-RSA-AES128-GCM-SHA256") as client:
            assert client.certificate() == rsa_certificate.x509
    else:
        assert served_to_s_client(headgate, "rsa_pss_rsae_sha256") == rsa_certificate.x509


@VERSIONS
def test_a_client_that_verifies_both_gets_the_ecdsa_certificate(start, backend, certificate, rsa_certificate, version):
    headgate = start(proxy(backend().address, rsa_certificate, certificate))
    assert served(headgate, "app.test", version=version) == certificate.x509


def served_to_s_client(headgate, signature_algorithms):
    """The leaf that a TLS 1.3 client with these signature algorithms gets."""
    told = run(
        tool("openssl"), "s_client", "-connect", headgate.address(), "-servername", "app.test", "-tls1_3",
        "-sigalgs", signature_algorithms,
    )  # fmt: skip
    begin = told.stdout.index("-----BEGIN CERTIFICATE")
    end = told.stdout.index("-----END CERTIFICATE-----") + 26
    return x509.load_pem_x509_certificate(told.stdout[begin:end].encode())


def test_the_chain_is_sent_leaf_first_with_its_intermediate(start, backend, tmp_path):
    root = Authority(tmp_path / "root")
    middle = root.intermediate()
    leaf = middle.issue("app.test")
    headgate = start(proxy(backend().address, leaf))
    with connect(headgate.port()) as client:
        assert client.chain() == [leaf.x509, middle.certificate]


def test_key_and_certificate_may_share_a_file_with_carriage_returns_and_blank_lines(start, backend, leaves, tmp_path):
    pair = leaves["default"]
    text = pair.certificate.read_text() + "\n\n" + pair.key.read_text() + "\n\n\n"
    both = tmp_path / "both.pem"
    both.write_bytes(text.replace("\n", "\r\n").encode())
    config = proxy(backend().address)
    config["listeners"][0]["tls"]["certificates"] = [{"certificate": str(both)}]
    assert served(start(config), None) == pair.x509


def check(tmp_path, *entries):
    """The output and exit code of `check` for a listener with these certificate entries."""
    config = proxy("127.0.0.1:9", log={"format": "text"})
    config["listeners"][0]["tls"]["certificates"] = list(entries)
    headgate = Headgate(tmp_path, config, arguments=["check", "--config", tmp_path / "headgate.yaml"])
    code = headgate.wait_exit()
    return code, headgate.output


def test_an_expired_certificate_is_a_fault(authority, tmp_path):
    old = authority.issue("app.test", not_before=-10 * DAY, not_after=-DAY)
    code, output = check(tmp_path, certificate_entry(old))
    assert code == 1 and "expired" in output


def test_a_certificate_that_is_not_yet_valid_is_a_fault(authority, tmp_path):
    early = authority.issue("app.test", not_before=DAY, not_after=10 * DAY)
    code, output = check(tmp_path, certificate_entry(early))
    assert code == 1 and "not valid before" in output


def test_a_certificate_that_expires_soon_is_a_warning(authority, tmp_path):
    days = datetime.timedelta(days=1)
    soon = authority.issue("app.test", not_before=-30 * days, not_after=6 * days + datetime.timedelta(hours=1))
    code, output = check(tmp_path, certificate_entry(soon))
    assert code == 0 and "6 days" in output


def test_a_key_of_another_certificate_is_a_fault(leaves, tmp_path):
    entry = {"certificate": str(leaves["exact"].certificate), "private_key": str(leaves["default"].key)}
    code, output = check(tmp_path, entry)
    assert code == 1 and str(leaves["exact"].certificate) in output and "private key is not" in output


def test_an_encrypted_key_is_refused_with_what_to_do(leaves, tmp_path):
    locked = tmp_path / "locked.key"
    run(tool("openssl"), "pkcs8", "-topk8", "-in", leaves["exact"].key, "-out", locked, "-passout", "pass:secret")
    code, output = check(tmp_path, {"certificate": str(leaves["exact"].certificate), "private_key": str(locked)})
    assert code == 1 and "encrypted" in output


def test_a_missing_file_is_a_fault_that_names_it(leaves, tmp_path):
    code, output = check(tmp_path, {"certificate": "absent.crt", "private_key": str(leaves["exact"].key)})
    assert code == 1 and "absent.crt" in output


def test_a_truncated_certificate_is_a_fault(leaves, tmp_path):
    half = tmp_path / "half.crt"
    text = leaves["exact"].certificate.read_text()
    half.write_text(text[: len(text) // 2])
    code, output = check(tmp_path, {"certificate": str(half), "private_key": str(leaves["exact"].key)})
    assert code == 1 and "half.crt" in output


def test_an_ip_address_as_name_is_tolerated(selecting, leaves):
    assert served(selecting, "127.0.0.1") == leaves["default"].x509


def test_a_refused_name_is_not_a_label_value(start, backend, leaves):
    headgate = start(proxy(backend().address, leaves["exact"], tls={"unknown_name": "reject"}))
    handshake_alert(headgate.port(), sni="secret-name.invalid")
    assert "secret-name" not in headgate.get("/metrics")[1]


def test_a_final_dot_makes_no_other_name(selecting, leaves):
    assert served(selecting, "a.example.test.") == leaves["exact"].x509
    assert served(selecting, "b.example.test.") == leaves["wildcard"].x509


def test_an_international_name_is_found_in_its_ascii_form(start, backend, leaves, authority):
    name = "b\u00fccher.test".encode("idna").decode()
    books = authority.issue(name)
    headgate = start(proxy(backend().address, leaves["default"], books))
    assert name.startswith("xn--")
    assert served(headgate, name) == books.x509
    assert served(headgate, name.upper()) == books.x509
    with python_tls(headgate.port(), ca=authority.file, sni="b\u00fccher.test") as client:
        assert client.getpeercert(binary_form=True) == books.x509.public_bytes(serialization.Encoding.DER)


def test_an_address_finds_the_certificate_that_has_it(start, backend, leaves, authority):
    """RFC 6066 allows no address in server_name, but some clients send one and want its certificate."""
    by_address = authority.issue("192.0.2.7", "2001:db8::7")
    headgate = start(proxy(backend().address, leaves["default"], by_address))
    assert served(headgate, "192.0.2.7") == by_address.x509
    assert served(headgate, "2001:db8::7") == by_address.x509
    assert served(headgate, "192.0.2.8") == leaves["default"].x509


def odd_certificate(authority, directory, key=None, names=("app.test",), issuer_url=False):
    """A leaf of a kind that an Authority does not issue."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = authority.begin_leaf(key)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if issuer_url:
        where = x509.UniformResourceIdentifier("http://ca.test/ca.der")
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    leaf = builder.sign(authority._key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = directory / f"{leaf.serial_number}.pem"
    file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + secret)
    return {"certificate": str(file)}


WARNINGS = {
    "RSA-4096 key makes a full handshake cost about 19 times": {
        "key": lambda: rsa.generate_private_key(public_exponent=65537, key_size=4096)
    },
    "the intermediate certificate is missing": {"issuer_url": True},
    "it has no subject alternative name": {"names": ()},
}


@pytest.mark.parametrize("words", WARNINGS)
def test_what_will_hurt_is_a_warning(authority, tmp_path, words):
    options = dict(WARNINGS[words])
    if "key" in options:
        options["key"] = options["key"]()
    code, output = check(tmp_path, odd_certificate(authority, tmp_path, **options))
    assert code == 0 and "warning: " in output and words in output


def test_a_key_shared_by_unrelated_names_is_a_warning(authority, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    shop, bank = (odd_certificate(authority, tmp_path, key, [name]) for name in ("www.shop.test", "www.bank.example"))
    code, output = check(tmp_path, shop, bank)
    assert code == 0 and "shares its key with the unrelated certificate" in output
    related = odd_certificate(authority, tmp_path, key, ["mail.shop.test"])
    code, output = check(tmp_path, shop, related)
    assert code == 0 and "shares its key" not in output


def test_a_signature_with_sha1_by_rsa_pss_is_a_fault(tmp_path):
    """The digest of RSASSA-PSS stands among its parameters: RFC 4055, section 3.1."""
    ca, made, openssl = tmp_path / "ca.pem", tmp_path / "pss.pem", tool("openssl")
    run(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "ca.key", "-out", ca,
        "-subj", "/CN=ca", "-days", 30)  # fmt: skip
    run(openssl, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "pss.key", "-subj", "/CN=app.test",
        "-out", tmp_path / "pss.csr")  # fmt: skip
    for digest, faulty in (("-sha1", True), ("-sha256", False)):
        told = run(openssl, "x509", "-req", "-in", tmp_path / "pss.csr", "-CA", ca, "-CAkey", tmp_path / "ca.key", digest,
                   "-sigopt", "rsa_padding_mode:pss", "-days", 30, "-out", made)  # fmt: skip
        assert told.returncode == 0, told
        code, output = check(tmp_path, {"certificate": str(made), "private_key": str(tmp_path / "pss.key")})
        assert ("signed with SHA-1 or MD5" in output) == faulty and code == int(faulty), output


def test_a_key_without_its_public_point_fits_its_certificate(authority, tmp_path):
    """SEC 1, section C.4: the point is optional."""
    pair, bare = authority.issue("app.test"), tmp_path / "bare.key"
    told = run(tool("openssl"), "ec", "-in", pair.key, "-no_public", "-out", bare)
    assert told.returncode == 0 and "BEGIN EC PRIVATE KEY" in bare.read_text(), told
    code, output = check(tmp_path, {"certificate": str(pair.certificate), "private_key": str(bare)})
    assert code == 0, output


def test_a_signature_with_sha1_is_a_fault(authority, tmp_path):
    """The openssl command makes the certificate, because the library of this test no longer signs with SHA-1."""
    made, key = tmp_path / "sha1.crt", tmp_path / "sha1.key"
    request, ca_key = tmp_path / "sha1.csr", tmp_path / "ca.key"
    ca_key.write_bytes(
        authority._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    openssl = tool("openssl")
    run(openssl, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
        "-subj", "/CN=app.test", "-out", request)  # fmt: skip
    told = run(openssl, "x509", "-req", "-in", request, "-CA", authority.file, "-CAkey", ca_key, "-sha1", "-days", "30",
               "-out", made)  # fmt: skip
    assert told.returncode == 0, told
    code, output = check(tmp_path, {"certificate": str(made), "private_key": str(key)})
    assert code == 1 and "signed with SHA-1 or MD5" in output
