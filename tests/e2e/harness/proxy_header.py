"""PROXY protocol headers: made for connections to Headgate, read from those that it makes."""

import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

ALPN, AUTHORITY, CRC32C, UNIQUE_ID, SSL = 0x01, 0x02, 0x03, 0x05, 0x20
SSL_VERSION, SSL_CN, SSL_CIPHER, SSL_SIG_ALG, SSL_KEY_ALG = 0x21, 0x22, 0x23, 0x24, 0x25
SSL_GROUP, SSL_SIG_SCHEME, SSL_CLIENT_CERT = 0x26, 0x27, 0x28


def version1(source="192.0.2.7", destination="192.0.2.8", source_port=5555, destination_port=443):
    return f"PROXY TCP4 {source} {destination} {source_port} {destination_port}\r\n".encode()


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def version2(source="192.0.2.7", destination="192.0.2.8", source_port=5555, destination_port=443, tlvs=b""):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    body = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    body += struct.pack(">HH", source_port, destination_port) + tlvs
    return SIGNATURE + bytes([0x21, 0x21 if family == socket.AF_INET6 else 0x11]) + struct.pack(">H", len(body)) + body


class Version2:
    """A parsed version 2 header; `size` is its length in bytes."""

    def __init__(self, data):
        assert data[:12] == SIGNATURE, data[:32]
        assert data[12] == 0x21, "version 2, command PROXY"
        length = struct.unpack(">H", data[14:16])[0]
        self.size = 16 + length
        assert len(data) >= self.size
        self.bytes = data[: self.size]
        at = 16
        if data[13] == 0x00:  # UNSPEC: no addresses
            self.source = self.destination = self.source_port = self.destination_port = None
            self.tlvs = _tlvs(data[at : self.size])
            return
        if data[13] == 0x31:  # AF_UNIX
            self.source, self.destination = data[at : at + 108], data[at + 108 : at + 216]
            self.source_port = self.destination_port = None
            self.tlvs = _tlvs(data[at + 216 : self.size])
            return
        width, family = {0x11: (4, socket.AF_INET), 0x21: (16, socket.AF_INET6)}[data[13]]
        self.source = socket.inet_ntop(family, data[at : at + width])
        self.destination = socket.inet_ntop(family, data[at + width : at + 2 * width])
        at += 2 * width
        self.source_port, self.destination_port = struct.unpack(">HH", data[at : at + 4])
        self.tlvs = _tlvs(data[at + 4 : self.size])

    @property
    def ssl(self):
        """The TLVs inside the SSL one, and its flags and verification result as "client" and "verify"."""
        value = self.tlvs[SSL]
        client, verify = struct.unpack(">BI", value[:5])
        return {"client": client, "verify": verify, **_tlvs(value[5:])}

    def crc32c_is_right(self):
        value = self.tlvs[CRC32C]
        at = self.bytes.index(bytes([CRC32C, 0, 4]) + value)
        blank = self.bytes[: at + 3] + bytes(4) + self.bytes[at + 7 :]
        return crc32c(blank) == struct.unpack(">I", value)[0]


def _tlvs(data):
    found = {}
    while data:
        kind, size = struct.unpack(">BH", data[:3])
        found[kind] = data[3 : 3 + size]
        data = data[3 + size :]
    return found


def crc32c(data):
    """CRC-32C (Castagnoli), bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
