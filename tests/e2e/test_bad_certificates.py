"""Every kind of bad certificate is refused, and the metrics tell one kind from another."""

import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from harness.authority import DAY, Authority, Pair, replace_file
from harness.config import proxy
from harness.headgate import Headgate
from harness.tls_client import connect

FAULTS = "headgate_client_certificate_faults_total"


def write_pair(directory, leaf, key):
    """A certificate that no Authority would issue."""
    pair = Pair(directory / "bad.crt", directory / "bad.key", leaf)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    replace_file(pair.key, secret, mode=0o600)
    replace_file(pair.certificate, leaf.public_bytes(serialization.Encoding.PEM))
    return pair


def weak(authority, directory):
    """A leaf with RSA-1024."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    leaf = (
        authority.begin_leaf(key)
        .add_extension(usage, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("app.test")]), critical=False)
        .sign(authority._key, hashes.SHA256())
    )
    return write_pair(directory, leaf, key)


def self_signed(directory):
    own = Authority(directory / "own")
    return write_pair(directory, own.certificate, own._key)


CLIENTS = {
    "expired": lambda ca, _: ca.issue(client=True, not_before=-10 * DAY, not_after=-DAY),
    "not_yet_valid": lambda ca, _: ca.issue(client=True, not_before=DAY),
    "self_signed": lambda _, directory: self_signed(directory),
    "unknown_ca": lambda _, directory: Authority(directory / "stranger", "Stranger").issue(client=True),
    "wrong_purpose": lambda ca, _: ca.issue("app.test"),
    "weak": weak,
    "not_allowed": lambda ca, _: ca.issue(client=True, common_name="mallory"),
}


@pytest.mark.parametrize("fault", CLIENTS)
def test_the_metric_says_what_is_wrong_with_a_clients_certificate(
    start, backend, certificate, authority, tmp_path, fault
):
    one = backend()
    client_auth = {"mode": "required", "ca": str(authority.file), "allow": {"common_name": ["client", "app.test"]}}
    headgate = start(proxy(one.address, certificate, tls={"client_auth": client_auth}))
    peer = CLIENTS[fault](authority, tmp_path)
    with pytest.raises((SSL.Error, OSError)):
        with connect(headgate.port(), certificate=peer, ciphers="ALL:@SECLEVEL=0") as client:
            client.exchange(b"let in")
    headgate.wait_metric(FAULTS, 1, fault=fault)
    assert headgate.metric(FAULTS) == 1
    assert one.accepted == 0


def test_the_metric_tells_a_revoked_client_from_one_without_a_list(start, backend, certificate, authority):
    middle = authority.intermediate()
    peer = authority.issue(client=True)
    crl = authority.revocation_list(peer, file="told-apart.crl")
    client_auth = {"mode": "required", "ca": str(authority.file), "crl": str(crl)}
    headgate = start(proxy(backend().address, certificate, tls={"client_auth": client_auth}))
    for client in (peer, middle.issue(client=True)):
        with pytest.raises((SSL.Error, OSError)):
            with connect(headgate.port(), certificate=client) as connected:
                connected.exchange(b"let in")
    headgate.wait_metric(FAULTS, 1, fault="revoked")
    headgate.wait_metric(FAULTS, 1, fault="no_revocation_list")


def half(path):
    text = path.read_text()
    path.write_text(text[: len(text) // 2])


def spoil(fault, own, authority, directory):
    """Replaces the certificate in use by a bad file."""
    stem = own.certificate.stem
    if fault == "unreadable":
        own.certificate.unlink()
    elif fault == "damaged":
        half(own.certificate)
    elif fault == "key_mismatch":
        other = authority.issue("app.test")
        replace_file(own.key, other.key.read_bytes(), mode=0o600)
    elif fault == "expired":
        authority.issue("app.test", not_before=-10 * DAY, not_after=-DAY, file=stem)
    elif fault == "not_yet_valid":
        authority.issue("app.test", not_before=DAY, file=stem)
    elif fault == "older":
        authority.issue("app.test", not_before=-5 * DAY, not_after=80 * DAY, file=stem)
    elif fault == "wrong_purpose":
        authority.issue("app.test", client=True, file=stem)
    else:
        pair = weak(authority, directory)
        replace_file(own.key, pair.key.read_bytes(), mode=0o600)
        replace_file(own.certificate, pair.certificate.read_bytes())


@pytest.mark.parametrize(
    "fault",
    ["unreadable", "damaged", "key_mismatch", "expired", "not_yet_valid", "older", "wrong_purpose", "weak_key"],
)
def test_the_metric_says_what_is_wrong_with_a_new_certificate_and_the_old_one_serves(
    start, backend, authority, tmp_path, fault
):
    own = authority.issue("app.test", file=f"spoilt-{fault}")
    headgate = start(proxy(backend().address, own))
    spoil(fault, own, authority, tmp_path)
    status, answer = headgate.post("/reload")
    assert status != 200, answer
    assert headgate.metric("headgate_file_faults_total", fault=fault) >= 1
    with connect(headgate.port()) as client:
        assert client.certificate() == own.x509


def test_an_unreadable_file_of_a_directory_is_counted_and_left_out(start, backend, certificate, authority, tmp_path):
    directory = tmp_path / "many"
    directory.mkdir()
    headgate = start(proxy(backend().address, certificate, tls={"certificate_dirs": [str(directory)]}))
    (directory / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n")
    assert headgate.post("/reload")[0] == 200
    assert headgate.metric("headgate_file_faults_total", fault="damaged") >= 1


@pytest.mark.skipif(os.geteuid() != 0, reason="dropping to a user without permission needs root")
def test_a_key_that_the_process_may_not_read_is_told_so_and_the_old_one_serves(backend, open_directory):
    """The first certificate is read as root. Only root may read the renewed one, and the process is no longer root."""
    ours = Authority(open_directory / "ca")
    old = ours.issue("app.test", file="dropped")
    config = proxy(backend().address, old, user="nobody", group="nogroup")
    headgate = Headgate(open_directory, config).wait_ready()
    ours.issue("app.test", file="dropped")
    status, answer = headgate.post("/reload")
    assert status != 200 and "Permission denied" in answer, answer
    assert headgate.metric("headgate_file_faults_total", fault="unreadable") >= 1
    with connect(headgate.port()) as client:
        assert client.certificate() == old.x509
    assert headgate.stop() == 0
