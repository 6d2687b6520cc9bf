"""Certificates made for one test run: an authority, its leaves, its revocation lists."""

import datetime
import hashlib
import ipaddress
from typing import NamedTuple
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Pair(NamedTuple):
    """A certificate's PEM file (leaf first), its key's file and the certificate itself."""

    certificate: Path
    key: Path
    x509: x509.Certificate

    @property
    def fingerprint(self):
        """SHA-256, lower-case hexadecimal."""
        return self.x509.fingerprint(hashes.SHA256()).hex()

    @property
    def public_key(self):
        """SHA-256 of the public key (SPKI), lower-case hexadecimal."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(self.x509.public_key().public_bytes(serialization.Encoding.DER, form)).hexdigest()


def new_key(kind):
    """A fresh private key: "ecdsa" (P-256), "p384", "rsa" (2048 bits) or "rsa4096"; or the one in a file."""
    if isinstance(kind, Path):
        return serialization.load_pem_private_key(kind.read_bytes(), None)
    if kind in ("rsa", "rsa4096"):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048 if kind == "rsa" else 4096)
    return ec.generate_private_key(ec.SECP384R1() if kind == "p384" else ec.SECP256R1())


class Authority:
    """A certificate authority in a directory of its own. `file` is its certificate, which a test trusts."""

    def __init__(self, directory, name="Headgate test CA", issuer=None, not_after=365 * DAY, usage=None, extensions=()):
        """`extensions` are critical ones, beside those that each CA has."""
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._key = new_key("ecdsa")
        self._issuer = issuer
        self._serial = 0
        self._name = name
        self._usage = usage
        self._extensions = extensions
        self.file = self.directory / "ca.pem"
        self.renew(not_after)

    def renew(self, not_after=365 * DAY, encoding=None):
        """Replaces this authority's own certificate by one with the same name and key. `encoding` is the string type of
        the name."""
        self.certificate = self._make_self(self._name, not_after, encoding)
        replace_file(self.file, self.certificate.public_bytes(serialization.Encoding.PEM))

    def cross_signed_by(self, other):
        """A certificate of this authority, with its name and key, by another authority."""
        own, self._issuer = self._issuer, other
        try:
            return self._make_self(self._name, 365 * DAY)
        finally:
            self._issuer = own

    def intermediate(self, name="Headgate test intermediate CA", not_after=365 * DAY, **options):
        """An authority below this one; its leaves carry its certificate in their chain."""
        return Authority(self.directory / name.replace(" ", "-"), name, issuer=self, not_after=not_after, **options)

    def issue(
        self,
        *names,
        key="ecdsa",
        client=False,
        uris=(),
        common_name=None,
        unit=None,
        not_before=-DAY,
        not_after=90 * DAY,
        file=None,
        chain=True,
        digest=hashes.SHA256(),
    ):
        """Makes a leaf for DNS names or IP addresses. Times are relative to now. `file` is the stem of its file's
        name: an older leaf of that stem is replaced. Without `chain` the certificates above the leaf are left out."""
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self._serial += 1
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name or (names[0] if names else "client"))]
        if unit:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
        private = new_key(key)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(self.certificate.subject)
            .public_key(private.public_key())
            .serial_number(1000 + self._serial)
            .not_valid_before(now + not_before)
            .not_valid_after(now + not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(key_usage(leaf=True), critical=True)
            .add_extension(_authority_key_id(self._key), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        )
        alternatives = [_general_name(name) for name in names] + [x509.UniformResourceIdentifier(u) for u in uris]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        leaf = builder.sign(self._key, digest)
        return self._write(leaf, private, file or f"leaf-{self._serial}", chain)

    def revocation_list(self, *pairs, next_update=30 * DAY, file="crl.pem", last_update=-DAY, critical=None):
        """A CRL file that revokes `pairs`. `critical` is one more extension, a critical one."""
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now + last_update)
            .next_update(now + next_update)
            .add_extension(_authority_key_id(self._key), critical=False)
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        if critical:
            builder = builder.add_extension(critical, critical=True)
        for pair in pairs:
            entry = x509.RevokedCertificateBuilder().serial_number(pair.x509.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(now - datetime.timedelta(hours=1)).build())
        path = self.directory / file
        fresh = path.with_suffix(".new")
        fresh.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        fresh.rename(path)
        return path

    def issue_svid(self, *uris, ca=False, usage=None, stem="svid"):
        """A client's leaf with these URIs, whatever they are, and with the given CA flag and key usages."""
        private = new_key("ecdsa")
        builder = (
            self.begin_leaf(private)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(_authority_key_id(self._key), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris]), critical=False
            )
            .add_extension(usage or key_usage(leaf=True), critical=True)
        )
        self._serial += 1
        return self._write(builder.sign(self._key, hashes.SHA256()), private, f"{stem}-{self._serial}", True)

    def begin_leaf(self, key):
        """The builder of a leaf of app.test for `key`, without extensions: for a leaf that issue() does not make."""
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app.test")]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 90 * DAY)
        )

    def _make_self(self, name, not_after, encoding=None):
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name, _type=encoding)])
        signer = self._issuer._key if self._issuer else self._key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._issuer.certificate.subject if self._issuer else subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 30 * DAY)
            .not_valid_after(now + not_after)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(self._usage or key_usage(leaf=False), critical=True)
            .add_extension(_authority_key_id(signer), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        )
        for extension in self._extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(signer, hashes.SHA256())

    def _write(self, leaf, private, stem, with_chain):
        chain = leaf.public_bytes(serialization.Encoding.PEM)
        if self._issuer and with_chain:
            chain += self.certificate.public_bytes(serialization.Encoding.PEM)
        pair = Pair(self.directory / f"{stem}.crt", self.directory / f"{stem}.key", leaf)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        replace_file(pair.key, pem, mode=0o600)
        replace_file(pair.certificate, chain)
        return pair


def replace_file(path, content, mode=0o644):
    """Puts a file in place at once, by rename."""
    fresh = Path(path).with_suffix(".new")
    fresh.write_bytes(content)
    fresh.chmod(mode)
    fresh.rename(path)


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _authority_key_id(key):
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def key_usage(leaf, **changed):
    """The key usage of a leaf, or of a CA, with some bits changed: key_usage(leaf=True, crl_sign=True)."""
    usage = {
        "digital_signature": True,
        "key_encipherment": leaf,
        "key_cert_sign": not leaf,
        "crl_sign": not leaf,
        "content_commitment": False,
        "data_encipherment": False,
        "key_agreement": False,
        "encipher_only": False,
        "decipher_only": False,
    }
    return x509.KeyUsage(**{**usage, **changed})
