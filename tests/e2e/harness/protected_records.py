"""Records of any content under the keys of a client's connection, which OpenSSL's interface does not send."""

import contextlib
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from OpenSSL import SSL

from harness.tls_client import TLS12, TLS13, TlsClient

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
KEY_UPDATE, KEY_UPDATE_ASKED = b"\x18\0\0\x01\0", b"\x18\0\0\x01\x01"
_TLS12_CIPHER = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"


def expand_label(secret, label, size):
    """HKDF-Expand-Label with an empty context, of at most one hash. RFC 8446, section 7.1."""
    name = b"tls13 " + label
    info = struct.pack(">HB", size, len(name)) + name + b"\0"
    digest = hashlib.sha384 if len(secret) == 48 else hashlib.sha256
    return hmac.digest(secret, info + b"\1", digest)[:size]


class Tls13Sealer:
    """One peer's records of TLS 1.3 with AES-GCM, from the first one behind its Finished on."""

    def __init__(self, secret):
        self._install(secret)

    def _install(self, secret):
        self._secret, self._number = secret, 0
        self._key = AESGCM(expand_label(secret, b"key", 32 if len(secret) == 48 else 16))
        self._iv = int.from_bytes(expand_label(secret, b"iv", 12), "big")

    def seal(self, kind, content, padding=0):
        inner = content + bytes([kind]) + bytes(padding)
        header = struct.pack(">BHH", APPLICATION_DATA, 0x303, len(inner) + 16)
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        return header + self._key.encrypt(nonce, inner, header)

    def key_update(self, message=KEY_UPDATE_ASKED):
        record = self.seal(HANDSHAKE, message)
        self._install(expand_label(self._secret, b"traffic upd", len(self._secret)))
        return record


class _Tls12Sealer:
    """The client's records of TLS 1.2 with AES-128-GCM, behind its Finished. RFC 5246, section 6.3; RFC 5288."""

    def __init__(self, tls):
        seed = b"key expansion" + tls.server_random() + tls.client_random()
        block, link = b"", seed
        while len(block) < 40:
            link = hmac.digest(tls.master_key(), link if block else seed, hashlib.sha256)
            block += hmac.digest(tls.master_key(), link + seed, hashlib.sha256)
        self._key, self._salt, self._number = AESGCM(block[:16]), block[32:36], 1

    def seal(self, kind, content):
        explicit = struct.pack(">Q", self._number)
        self._number += 1
        bound = explicit + struct.pack(">BHH", kind, 0x303, len(content))
        sealed = self._key.encrypt(self._salt + explicit, content, bound)
        return struct.pack(">BHH", kind, 0x303, len(sealed) + 8) + explicit + sealed


class RawClient(TlsClient):
    """A client after its handshake. `sealer.seal(kind, content)` makes records; its own send() must not be used."""

    def __init__(self, port, version=TLS13, **options):
        secrets = {}

        def note(line):
            label, _, secret = line.split()
            secrets[label] = bytes.fromhex(secret)

        ciphers = _TLS12_CIPHER if version == TLS12 else None
        super().__init__(port, version=version, ciphers=ciphers, on_secret=note, **options)
        self.handshake()
        if version == TLS12:
            self.sealer = _Tls12Sealer(self.tls)
        else:
            self.sealer = Tls13Sealer(secrets["CLIENT_TRAFFIC_SECRET_0"])

    def send_records(self, *records):
        """Sends them as far as the other end takes them: it may have ended."""
        try:
            self.socket.sendall(b"".join(records))
        except (ConnectionResetError, BrokenPipeError):
            pass

    def alert(self):
        """Reads the transport to its end. Returns the fatal alert that came, in OpenSSL's words."""
        with contextlib.suppress(ConnectionResetError):
            while self.receive():
                pass
        try:
            while self.tls.recv(65536):
                pass
        except SSL.Error as error:
            return error.args[0][-1][2] if error.args and error.args[0] else "no alert"
        return "no alert"
