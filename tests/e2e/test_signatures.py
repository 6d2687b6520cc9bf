"""The signatures of handshakes and the sessions that clients offer, as an operator counts them."""

import ssl

import pytest

from harness.authority import Pair
from harness.config import proxy
from harness.tls_client import TLS12, TLS13, connect, python_context, visit
from harness.tools import is_on_awslc, run, tool

SIGNED = "headgate_handshakes_signed_total"
OFFERED = "headgate_sessions_offered_total"

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
PYTHON_VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"]
)


def served(port, **options):
    with connect(port, **options) as client:
        client.exchange(b"served")


def made_key(directory, algorithm):
    file = directory / f"{algorithm}.key"
    assert run(tool("openssl"), "genpkey", "-algorithm", algorithm, "-out", file).returncode == 0
    return file


# --- signatures


@VERSIONS
def test_the_signature_is_that_of_the_certificates_key(start, backend, certificate, rsa_certificate, version):
    ecdsa = start(proxy(backend().address, certificate))
    served(ecdsa.port(), version=version)
    ecdsa.wait_metric(SIGNED, listener="web", signature="ecdsa_secp256r1_sha256", client_signature="none")
    rsa = start(proxy(backend().address, rsa_certificate))
    served(rsa.port(), version=version)
    rsa.wait_metric(SIGNED, signature="rsa_pss_rsae_sha256", client_signature="none")
    assert rsa.metric(SIGNED) == 1


@VERSIONS
@pytest.mark.parametrize(
    "key, scheme",
    [
        ("ecdsa", "ecdsa_secp256r1_sha256"),
        ("p384", "ecdsa_secp384r1_sha384"),
        ("rsa", "rsa_pss_rsae_sha256"),
        ("ED25519", "ed25519"),
        ("ED448", "ed448"),
    ],
)
def test_a_client_with_a_certificate_signs_too(start, backend, authority, certificate, tmp_path, version, key, scheme):
    if is_on_awslc() and key == "ED448":
        pytest.skip("AWS-LC has no Ed448")
    known = key in ("ecdsa", "p384", "rsa")
    pair = authority.issue("client.test", client=True, key=key if known else made_key(tmp_path, key))
    auth = {"mode": "optional", "ca": str(authority.file)}
    headgate = start(proxy(backend().address, certificate, tls={"client_auth": auth}))
    # Left to itself, a client of TLS 1.2 signs P-384 with the hash that the server names first.
    algorithms = {"ecdsa": "ECDSA+SHA256", "p384": "ECDSA+SHA384", "rsa": "rsa_pss_rsae_sha256"}
    told = run(
        tool("openssl"), "s_client", "-connect", headgate.address(), "-servername", "app.test",
        "-tls1_2" if version == TLS12 else "-tls1_3", "-cert", pair.certificate, "-key", pair.key,
        *(["-client_sigalgs", algorithms[key]] if key in algorithms else []),
    )  # fmt: skip
    assert "Verify return code" in told.stdout, told
    headgate.wait_metric(SIGNED, signature="ecdsa_secp256r1_sha256", client_signature=scheme)
    served(headgate.port(), version=version)
    headgate.wait_metric(SIGNED, signature="ecdsa_secp256r1_sha256", client_signature="none")


@VERSIONS
def test_a_key_for_rsa_pss_alone_is_told_from_other_rsa_keys(start, backend, certificate, tmp_path, version):
    if is_on_awslc():
        pytest.skip("AWS-LC has no handshakes with RSA-PSS keys")
    key, own = made_key(tmp_path, "RSA-PSS"), tmp_path / "client.pem"
    made = run(
        tool("openssl"), "req", "-x509", "-new", "-key", key, "-out", own, "-subj", "/CN=client.test", "-days", 1,
        "-addext", "extendedKeyUsage=clientAuth",
    )  # fmt: skip
    assert made.returncode == 0, made
    headgate = start(proxy(backend().address, certificate, tls={"client_auth": {"mode": "required", "ca": str(own)}}))
    served(headgate.port(), version=version, certificate=Pair(own, key, None))
    headgate.wait_metric(SIGNED, client_signature="rsa_pss_pss_sha256")


def test_nothing_is_signed_where_keys_are_exchanged_by_rsa(start, backend, rsa_certificate):
    tls = {"ciphers": "AES256-GCM-SHA384", "max_version": "1.2"}
    headgate = start(proxy(backend().address, rsa_certificate, tls=tls))
    served(headgate.port(), version=TLS12, ciphers="AES256-GCM-SHA384")
    headgate.wait_metric(SIGNED, signature="none", client_signature="none")


@pytest.mark.parametrize("algorithm", ["ECDSA+SHA1", "RSA+SHA1"])
def test_nothing_is_signed_with_sha1(start, backend, certificate, rsa_certificate, algorithm):
    headgate = start(proxy(backend().address, certificate if algorithm.startswith("ECDSA") else rsa_certificate))
    told = run(
        tool("openssl"), "s_client", "-connect", headgate.address(), "-tls1_2", "-cipher", "ALL:@SECLEVEL=0",
        "-sigalgs", algorithm,
    )  # fmt: skip
    assert told.returncode != 0 and "handshake failure" in told.stderr, told
    headgate.wait_metric("headgate_handshake_failures_total", 1, reason="no_shared_cipher")


@PYTHON_VERSIONS
def test_a_resumed_handshake_signs_nothing(start, backend, authority, certificate, version):
    auth = {"mode": "required", "ca": str(authority.file)}
    headgate = start(proxy(backend().address, certificate, tls={"client_auth": auth}))
    context = python_context(version=version, certificate=authority.issue("client.test", client=True))
    _, session = visit(headgate.port(), context)
    assert visit(headgate.port(), context, session)[0]
    headgate.wait_metric("headgate_handshakes_total", 2, result="ok")
    assert headgate.metric(SIGNED) == 1
    assert headgate.metric(SIGNED, client_signature="ecdsa_secp256r1_sha256") == 1


def test_signatures_and_sessions_are_counted_after_a_reload_and_an_upgrade(line, backend, certificate, rsa_certificate):
    config = proxy(backend().address, certificate)
    running = line(config)
    headgate = running.headgate
    context = python_context(version=ssl.TLSVersion.TLSv1_3)
    _, session = visit(headgate.port(), context)
    headgate.wait_metric(SIGNED, 1, signature="ecdsa_secp256r1_sha256")
    config["listeners"][0]["tls"]["certificates"] = proxy("", rsa_certificate)["listeners"][0]["tls"]["certificates"]
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    assert not visit(headgate.port(), context, session)[0], "the session was one with another certificate"
    headgate.wait_metric(SIGNED, 1, signature="rsa_pss_rsae_sha256")
    assert headgate.metric(SIGNED, signature="ecdsa_secp256r1_sha256") == 1
    headgate.wait_metric(OFFERED, 1, certificate=str(rsa_certificate.certificate), resumed="no")
    running.upgrade()
    _, session = visit(headgate.port(), context)
    headgate.wait_metric(SIGNED, 1, signature="rsa_pss_rsae_sha256")
    assert visit(headgate.port(), context, session)[0]
    headgate.wait_metric(OFFERED, 1, certificate=str(rsa_certificate.certificate), resumed="yes")
    assert headgate.metric(SIGNED) == 1


# --- sessions that clients offer


@PYTHON_VERSIONS
def test_the_sessions_that_clients_offer_are_counted_by_certificate(start, backend, authority, certificate, version):
    other = authority.issue("other.test")
    headgate = start(proxy(backend().address, certificate, other))
    context = python_context(version=version)
    _, session = visit(headgate.port(), context)
    assert headgate.metric(OFFERED) == 0, "this client had none"
    assert visit(headgate.port(), context, session)[0]
    headgate.wait_metric(OFFERED, 1, listener="web", certificate=str(certificate.certificate), resumed="yes")
    assert not visit(headgate.port(), context, session, sni="other.test")[0]
    headgate.wait_metric(OFFERED, 1, listener="web", certificate=str(other.certificate), resumed="no")
    assert headgate.metric(OFFERED) == 2


def test_the_certificates_of_a_directory_are_one_series(start, backend, authority, certificate, tmp_path):
    directory = tmp_path / "certificates"
    directory.mkdir()
    for name in ("one.test", "two.test"):
        pair = authority.issue(name)
        (directory / f"{name}.pem").write_text(pair.certificate.read_text() + pair.key.read_text())
    tls = {"certificate_dirs": [str(directory)], "resumption": {"lifetime": "1h"}}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    context = python_context(version=ssl.TLSVersion.TLSv1_3)
    for name in ("one.test", "two.test"):
        _, session = visit(headgate.port(), context, sni=name)
        assert visit(headgate.port(), context, session, sni=name)[0]
    headgate.wait_metric(OFFERED, 2, certificate=str(directory), resumed="yes")
    assert headgate.metric(OFFERED) == 2


def test_a_session_of_another_server_is_offered_and_not_resumed(start, backend, certificate):
    one, two = (start(proxy(backend().address, certificate)) for _ in range(2))
    context = python_context(version=ssl.TLSVersion.TLSv1_3)
    _, session = visit(one.port(), context)
    assert not visit(two.port(), context, session)[0]
    two.wait_metric(OFFERED, 1, certificate=str(certificate.certificate), resumed="no")
