"""A TLS client that a test drives step by step: it sees and cuts every byte on the network."""

import contextlib
import socket
import ssl

from OpenSSL import SSL

from harness.backends import reset_on_close
from harness.kernel import unread_bytes
from harness.waiting import DEADLINE_SECONDS, wait_until

TLS12 = SSL.TLS1_2_VERSION
TLS13 = SSL.TLS1_3_VERSION

ALERT_RECORD = 21
HANDSHAKE_RECORD = 22


class TlsClient:
    """A TLS client over memory, with a socket beneath. The socket blocks, up to the harness's deadline.

    The client verifies nothing: `certificate()` returns the server's certificate, which a test can check.
    """

    def __init__(
        self,
        port,
        sni="app.test",
        version=None,
        alpn=(),
        ciphers=None,
        certificate=None,
        connected=None,
        on_secret=None,
        session=None,
    ):
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if on_secret:
            context.set_keylog_callback(lambda _, line: on_secret(line.decode()))
        if version:
            context.set_min_proto_version(version)
            context.set_max_proto_version(version)
        if ciphers:
            context.set_cipher_list(ciphers.encode())
        if alpn:
            context.set_alpn_protos([name.encode() for name in alpn])
        if certificate:
            context.use_certificate_chain_file(str(certificate.certificate))
            context.use_privatekey_file(str(certificate.key))
        self.tls = SSL.Connection(context, None)
        if sni:
            self.tls.set_tlsext_host_name(sni.encode())
        if session:
            self.tls.set_session(session)
        self.tls.set_connect_state()
        self.socket = connected or socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # --- the transport

    def produced(self):
        """Takes the bytes that TLS wants to send, and returns them."""
        out = b""
        while True:
            try:
                out += self.tls.bio_read(65536)
            except SSL.WantReadError:
                return out

    def send_produced(self):
        # A call that sends nothing would take a reset's error away from the next read.
        if produced := self.produced():
            self.socket.sendall(produced)

    def receive(self):
        """Feeds TLS with the bytes that the transport brings next; False at the transport's end."""
        chunk = self.socket.recv(65536)
        if not chunk:
            self.tls.bio_shutdown()
            return False
        self.tls.bio_write(chunk)
        return True

    def client_hello(self):
        """The bytes of the ClientHello, unsent."""
        try:
            self.tls.do_handshake()
        except SSL.WantReadError:
            pass
        return self.produced()

    # --- the stream

    def handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                self.send_produced()
                return self
            except SSL.WantReadError:
                self.send_produced()
                self.receive()
            except SSL.Error:
                self.send_produced()
                raise

    def send(self, data):
        view = memoryview(data)
        while view:
            sent = self.tls.send(view[:16384])
            view = view[sent:]
            self.send_produced()

    def recv(self, size=65536):
        """The next bytes; b"" at a close_notify. A transport that ends without one raises SSL.Error."""
        while True:
            try:
                return self.tls.recv(size)
            except SSL.WantReadError:
                self.send_produced()
                self.receive()
            except SSL.ZeroReturnError:
                return b""

    def recv_exactly(self, size):
        data = b""
        while len(data) < size:
            chunk = self.recv(size - len(data))
            assert chunk, f"ended after {len(data)} of {size} bytes"
            data += chunk
        return data

    def recv_to_end(self):
        data = b""
        while chunk := self.recv():
            data += chunk
        return data

    def exchange(self, data):
        """Sends `data` to an echo and checks its answer."""
        self.send(data)
        answer = self.recv_exactly(len(data))
        assert answer == data

    def end_writing(self):
        """Sends close_notify. The client can still read."""
        try:
            self.tls.shutdown()
        except SSL.Error:
            pass
        self.send_produced()

    # --- the result

    @property
    def version(self):
        return self.tls.get_protocol_version_name()

    @property
    def cipher(self):
        return self.tls.get_cipher_name()

    @property
    def alpn(self):
        return self.tls.get_alpn_proto_negotiated().decode()

    def certificate(self):
        """The leaf that the server sent."""
        return self.tls.get_peer_certificate().to_cryptography()

    def chain(self):
        return [one.to_cryptography() for one in self.tls.get_peer_cert_chain()]

    # --- the end

    def wait_transport_end(self):
        """Reads the transport to its end: "end" for a FIN, "reset" for an RST."""
        try:
            while self.socket.recv(65536):
                pass
            return "end"
        except ConnectionResetError:
            return "reset"

    def reset(self):
        """Sends RST."""
        reset_on_close(self.socket)
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def connect(port, **options):
    """A TlsClient whose handshake is done."""
    client = TlsClient(port, **options)
    try:
        return client.handshake()
    except BaseException:
        client.close()
        raise


RECORD_HEADER_BYTES = 5


def between_bytes(hello, place):
    """Cuts a ClientHello before the byte at `place`."""
    return hello[:place], hello[place:]


def into_records(hello, place):
    """Makes two records of a ClientHello in one record, cut before the byte at `place`. RFC 8446, section 5.1."""
    head, message = hello[:3], hello[RECORD_HEADER_BYTES:]
    first, second = message[: place - RECORD_HEADER_BYTES], message[place - RECORD_HEADER_BYTES :]
    return [head + len(part).to_bytes(2, "big") + part for part in (first, second)]


def in_records_of(message, size):
    """Puts a handshake message into records that each hold `size` bytes of it."""
    parts = (message[place : place + size] for place in range(0, len(message), size))
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)


def hello_in_two_parts(port, cut, at_once=100, **options):
    """Checks that a listener before an echo serves clients whose ClientHello comes in two parts, cut at every place.

    `cut` is one of the functions above. A client sends its second part when the first has been read; `at_once` clients
    are half-way at the same time.
    """
    with TlsClient(port, **options) as client:
        end = len(client.client_hello())
    for begin in range(RECORD_HEADER_BYTES + 1 if cut is into_records else 1, end, at_once):
        half_way = []
        with contextlib.ExitStack() as clients:
            for place in range(begin, min(begin + at_once, end)):
                client = clients.enter_context(TlsClient(port, **options))
                first, second = cut(client.client_hello(), place)
                client.socket.sendall(first)
                half_way.append((client, second))
            wait_until(lambda: unread_bytes(port) == 0, "all first parts were read")
            for client, second in half_way:
                client.socket.sendall(second)
            for client, _ in half_way:
                client.handshake()
                client.exchange(b"whole")


def handshake_alert(port, **options):
    """Returns the alert that refuses such a client, in OpenSSL's words. Fails when the handshake succeeds.

    In TLS 1.3 the server's refusal may come after the client's own handshake is done, so a read follows it.
    """
    with TlsClient(port, **options) as client:
        try:
            client.handshake()
            client.recv()
        except SSL.Error as error:
            reasons = [reason for _, _, reason in error.args[0]] if error.args and error.args[0] else []
            return reasons[-1] if reasons else "no alert"
    raise AssertionError("the handshake succeeded")


def seen_by(client):
    """(the bytes, the end) that reached a TLS client: "in order", "cut short", "reset", or OpenSSL's words for an alert."""
    data = b""
    try:
        while chunk := client.recv(1500):
            data += chunk
        return data, "in order"
    except ConnectionResetError:
        return data, "reset"
    except SSL.SysCallError:
        return data, "cut short"
    except SSL.Error as error:
        reasons = [reason for _, _, reason in error.args[0]]
        return data, "cut short" if "unexpected eof" in reasons[-1] else reasons[-1]


def alerts_in(wire):
    """The (level, description) of each plaintext alert record among the bytes of `wire`."""
    found = []
    while len(wire) >= 5:
        size = int.from_bytes(wire[3:5], "big")
        if wire[0] == ALERT_RECORD and size == 2:
            found.append((wire[5], wire[6]))
        wire = wire[5 + size :]
    return found


def raw_socket(port, source="127.0.0.1"):
    """A plain TCP connection with the harness's deadline. It comes from `source`.

    A connect with a timeout of Python's waits for the socket, and would tell of a reset that came meanwhile.
    """
    connection = socket.socket()
    try:
        connection.bind((source, 0))
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        raise
    connection.settimeout(DEADLINE_SECONDS)
    return connection


def read_to_end(connection):
    """Returns all bytes until the peer ends or resets the connection."""
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def python_tls(
    port, ca=None, sni="app.test", version=None, session=None, context=None, certificate=None, source="127.0.0.1"
):
    """Connects Python's own TLS client, which is fast in bulk and can resume a session. It comes from `source`."""
    context = context or python_context(ca, version, certificate)
    connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS, source_address=(source, 0))
    return context.wrap_socket(connection, server_hostname=sni, session=session)


def python_context(ca=None, version=None, certificate=None):
    """A context that verifies against `ca`, or verifies nothing without it. `version`: ssl.TLSVersion."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(str(ca))
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    if certificate:
        context.load_cert_chain(str(certificate.certificate), str(certificate.key))
    return context


def visit(port, context, session=None, sni="app.test"):
    """Returns whether the session was resumed, and the session for the next visit."""
    with python_tls(port, context=context, session=session, sni=sni) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        return client.session_reused, client.session
