"""ClientHello messages made by hand: well-formed, with parts that no TLS library's client would send.

The key share is random bytes, which X25519 takes as a point. A client that sent it cannot finish the handshake, but a
server signs before it notices.
"""

import os

X25519, SECP521R1 = 29, 25
ECDSA_SHA256, RSA_PSS_SHA256, RSA_SHA256 = 0x0403, 0x0804, 0x0401
TICKET_BYTES, BINDER_BYTES = 208, 32


def sized(width, content):
    """`content` behind its length, which takes `width` bytes."""
    return len(content).to_bytes(width, "big") + content


def numbers(*values):
    return sized(2, b"".join(value.to_bytes(2, "big") for value in values))


def extension(kind, content):
    return kind.to_bytes(2, "big") + sized(2, content)


def garbage_psk():
    """The modes and, last of all extensions, an identity and a binder. RFC 8446, section 4.2.11."""
    identities = sized(2, sized(2, os.urandom(TICKET_BYTES)) + os.urandom(4))
    binders = sized(2, sized(1, os.urandom(BINDER_BYTES)))
    return extension(45, sized(1, b"\1")) + extension(41, identities + binders)


class ClientHello:
    """The messages of one client, each as a record."""

    def __init__(self, name="app.test"):
        self._nonces = b"\3\3" + os.urandom(32) + sized(1, os.urandom(32))
        self.share(os.urandom(32))
        self._common = (
            extension(0, sized(2, b"\0" + sized(2, name.encode())))
            + extension(10, numbers(SECP521R1, X25519))
            + extension(13, numbers(ECDSA_SHA256, RSA_PSS_SHA256, RSA_SHA256))
        )

    def share(self, point):
        """Sends `point` as the key share of X25519."""
        self._share = X25519.to_bytes(2, "big") + sized(2, point)

    def _message(self, suites, extensions):
        body = self._nonces + numbers(*suites) + sized(1, b"\0") + sized(2, self._common + extensions)
        return b"\x16\3\1" + sized(2, b"\1" + sized(3, body))

    def tls13(self, share=True, last=b""):
        """Returns a record with the message. Without a share the server answers with a HelloRetryRequest. `last` goes
        behind all other extensions."""
        versions = extension(43, sized(1, b"\3\4"))
        return self._message([0x1301], versions + extension(51, sized(2, self._share if share else b"")) + last)

    def tls12(self, ticket=b""):
        return self._message([0xC02B, 0xC02F], extension(11, sized(1, b"\0")) + extension(35, ticket))
