"""Keys that Headgate does not serve: the message names the kind, and a key above the leaf may be of any."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec

from harness.authority import Authority, replace_file
from harness.config import proxy
from harness.tools import headgate_binary, run, tool

PEM = serialization.Encoding.PEM


def check(tmp_path, certificate, key):
    file = tmp_path / "headgate.yaml"
    config = proxy("127.0.0.1:9", tls={"certificates": [{"certificate": str(certificate), "private_key": str(key)}]})
    file.write_text(json.dumps(config))
    return run(headgate_binary(), "check", "--config", file)


def write_leaf(tmp_path, authority, key):
    names = x509.SubjectAlternativeName([x509.DNSName("app.test")])
    leaf = authority.begin_leaf(key).add_extension(names, critical=False).sign(authority._key, hashes.SHA256())
    paths = tmp_path / "leaf.crt", tmp_path / "leaf.key"
    replace_file(paths[0], leaf.public_bytes(PEM))
    secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    replace_file(paths[1], secret, mode=0o600)
    return paths


@pytest.mark.parametrize(
    "make_key, kind",
    [
        (lambda: ec.generate_private_key(ec.BrainpoolP256R1()), "the curve brainpoolP256r1"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "the curve secp256k1"),
        (lambda: dsa.generate_private_key(2048), "keys of the kind DSA"),
    ],
    ids=["brainpool", "secp256k1", "dsa"],
)
def test_the_message_names_the_kind_of_a_key_that_is_not_supported(tmp_path, authority, make_key, kind):
    told = check(tmp_path, *write_leaf(tmp_path, authority, make_key()))
    assert told.returncode == 1
    assert f"Headgate does not support {kind}: use ECDSA P-256 or RSA" in told.stdout, told.stdout


def test_the_message_names_explicit_parameters(tmp_path):
    key, certificate = tmp_path / "explicit.key", tmp_path / "explicit.crt"
    openssl = tool("openssl")
    curve = ("-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit")
    assert run(openssl, "genpkey", "-algorithm", "EC", *curve, "-out", key).returncode == 0
    made = run(openssl, "req", "-new", "-x509", "-key", key, "-subj", "/CN=app.test", "-days", "60", "-out", certificate)
    assert made.returncode == 0, made.stderr
    told = check(tmp_path, certificate, key)
    assert told.returncode == 1
    assert "Headgate does not support a curve with explicit parameters" in told.stdout, told.stdout


def test_the_curve_of_an_intermediate_is_the_clients_business(tmp_path):
    root = Authority(tmp_path / "root")
    middle = Authority(tmp_path / "middle", "Brainpool CA", issuer=root)
    middle._key = ec.generate_private_key(ec.BrainpoolP256R1())
    middle.renew()
    pair = middle.issue("app.test")
    assert pair.certificate.read_text().count("BEGIN CERTIFICATE") == 2
    told = check(tmp_path, pair.certificate, pair.key)
    assert told.returncode == 0, told.stdout
