"""Floods of handshakes from few addresses: clients from other addresses are served before most of the flood is.

The proxy is stopped while all the ClientHello messages are sent, so that it finds them all at once, the flood's before
the honest ones, however slow the machine is. What counts is the order in which it serves them, not the time. Only where
the proxy gets no CPU for more than a second, it refuses all that wait as stale; such a round is repeated.
"""

import contextlib
import os
import select
import signal
import socket
import time

import pytest
from OpenSSL import SSL

from harness.client_hello import TICKET_BYTES, ClientHello, garbage_psk
from harness.config import proxy
from harness.tls_client import HANDSHAKE_RECORD, TlsClient
from harness.waiting import DEADLINE_SECONDS

ATTACKERS, HONEST, SERVED_AT_LEAST = 900, 24, 20
ROUNDS = 3
CHANGE_CIPHER_SPEC = b"\x14\3\3\0\1\1"


@pytest.fixture(scope="module")
def costly_certificate(authority):
    """A signature with its key takes milliseconds."""
    return authority.issue("app.test", key="rsa4096")


def connected_from(address, port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS, source_address=(address, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Attacker:
    """Sends a ClientHello for which the server has to sign, and does not answer its flight."""

    def __init__(self, port, address):
        self.socket = connected_from(address, port)
        self.hello = ClientHello()

    def prepare(self):
        """Does what has to be done before the proxy is stopped."""

    def attack(self):
        raise NotImplementedError

    def is_answered(self):
        """Whether the server's flight has come. There is a signature in it."""
        self.socket.setblocking(False)
        try:
            flight = self.socket.recv(65536)
        except (BlockingIOError, ConnectionResetError):
            return False
        return flight.removeprefix(CHANGE_CIPHER_SPEC)[:1] == bytes([HANDSHAKE_RECORD])


class Retrying(Attacker):
    """The server has already asked this client for another ClientHello. Only the second one makes the server sign."""

    def prepare(self):
        self.socket.sendall(self.hello.tls13(share=False))
        retry = self.socket.recv(65536)
        assert retry[0] == HANDSHAKE_RECORD

    def attack(self):
        self.socket.sendall(self.hello.tls13())


class GarbagePsk(Attacker):
    """Offers a pre-shared key that the server never gave."""

    def attack(self):
        self.socket.sendall(self.hello.tls13(last=garbage_psk()))


class GarbageTicket(Attacker):
    """Offers a session ticket of TLS 1.2 that the server never gave."""

    def attack(self):
        self.socket.sendall(self.hello.tls12(ticket=os.urandom(TICKET_BYTES)))


@contextlib.contextmanager
def stopped(headgate):
    headgate.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        headgate.signal(signal.SIGCONT)


def is_served(client):
    try:
        client.handshake().exchange(b"honest")
        return True
    except (OSError, SSL.Error, AssertionError):
        return False


def wait_for_answers(clients):
    """Waits until each of the clients has an answer: a flight, or the end of its connection."""
    poller = select.poll()
    waiting = {client.socket.fileno() for client in clients}
    for number in waiting:
        poller.register(number, select.POLLIN)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while waiting and time.monotonic() < deadline:
        for number, _ in poller.poll(100):
            poller.unregister(number)
            waiting.discard(number)


def served_and_answered(headgate, kind, addresses):
    """How many of the honest clients were served, and how many attackers were answered before the last of them."""
    port = headgate.port()
    with contextlib.ExitStack() as open_sockets:
        attackers = [kind(port, f"127.0.1.{1 + i % addresses}") for i in range(ATTACKERS)]
        for attacker in attackers:
            open_sockets.enter_context(attacker.socket)
            attacker.prepare()
        with stopped(headgate):
            for attacker in attackers:
                attacker.attack()
            honest = [
                open_sockets.enter_context(TlsClient(port, connected=connected_from(f"127.0.2.{1 + i}", port)))
                for i in range(HONEST)
            ]
            for client in honest:
                client.socket.sendall(client.client_hello())
        wait_for_answers(honest)
        with stopped(headgate):
            answered = sum(attacker.is_answered() for attacker in attackers)
        return sum(is_served(client) for client in honest), answered


@pytest.mark.parametrize("addresses", [1, 10], ids=["one_address", "ten_addresses"])
@pytest.mark.parametrize("kind", [Retrying, GarbagePsk, GarbageTicket])
def test_honest_clients_are_served_before_most_of_a_flood(start, backend, costly_certificate, kind, addresses):
    # The connections of one round are still there in the next.
    listener = {"timeouts": {"handshake": "2m"}, "limits": {"max_handshakes": 5000}}
    headgate = start(proxy(backend().address, costly_certificate, listener=listener, workers=1))
    for _ in range(ROUNDS):
        served, answered = served_and_answered(headgate, kind, addresses)
        # A machine that is busy with other things serves few clients of either kind before all are stale.
        if (served >= SERVED_AT_LEAST and answered < ATTACKERS / 2) or served > answered:
            return
    raise AssertionError(f"{served} of {HONEST} were served, and {answered} of {ATTACKERS} attackers were answered before")
