"""Secrets do not stay in memory after their end. Every test first finds its secret while it is in use."""

import ctypes
import os
import resource
import signal
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from harness.authority import replace_file
from harness.config import SANITIZED, certificate_entry, proxy
from harness.memory import count_in_memory, flags_around
from harness.tls_client import TLS12, TLS13, connect
from harness.tools import headgate_binary, run
from harness.waiting import wait_until

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root reads another process's memory"),
    pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps copies, and terabytes of its own"),
]

ROUNDS = 20


class Secrets:
    """Collects the secrets of a client's handshakes, by their name in a key log."""

    def __init__(self):
        self.by_name = {}

    def __call__(self, line):
        name, _, secret = line.split()
        self.by_name.setdefault(name, []).append(bytes.fromhex(secret))

    def all(self):
        return [one for of_name in self.by_name.values() for one in of_name]


def gone(pid, secrets):
    """Waits until none of the secrets is in the memory of the process."""
    counts = []

    def none_left():
        counts[:] = count_in_memory(pid, *secrets)
        return not any(counts)

    wait_until(none_left, lambda: f"of each secret there are still {counts}", seconds=5)


def served(port, version, secrets, **options):
    client = connect(port, version=version, on_secret=secrets, **options)
    client.exchange(b"some data")
    return client


def end(clients):
    for client in clients:
        client.end_writing()
        client.close()


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
def test_the_secrets_of_a_connection_end_with_it(start, backend, certificate, record_layer, version):
    headgate = start(proxy(backend().address, certificate, workers=1, tls={"record_layer": record_layer}))
    pid, secrets = headgate.child.pid, Secrets()
    clients = [served(headgate.port(), version, secrets) for _ in range(ROUNDS)]
    # The pre-shared key of the ticket that the client got, or the master secret of TLS 1.2.
    sessions = [client.tls.master_key() for client in clients]
    names = ["CLIENT_RANDOM"] if version == TLS12 else ["CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"]
    for name in names:
        found = count_in_memory(pid, *secrets.by_name[name])
        assert len(found) == ROUNDS and all(found), f"{name} is not where it is in use: {found}"
    end(clients)
    headgate.wait_metric("headgate_connections_active", 0)
    gone(pid, [*secrets.all(), *sessions])


def test_the_handshake_leaves_only_the_secrets_in_use(start, backend, certificate):
    """On Headgate's record layer: a traffic secret for each direction, once, and nothing else."""
    headgate = start(proxy(backend().address, certificate, workers=1))
    pid, secrets = headgate.child.pid, Secrets()
    clients = [served(headgate.port(), TLS13, secrets) for _ in range(ROUNDS)]
    in_use = [*secrets.by_name.pop("CLIENT_TRAFFIC_SECRET_0"), *secrets.by_name.pop("SERVER_TRAFFIC_SECRET_0")]
    assert count_in_memory(pid, *in_use) == [1] * len(in_use)
    gone(pid, [*secrets.all(), *(client.tls.master_key() for client in clients)])
    end(clients)


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
def test_a_resumed_session_leaves_no_key(start, backend, certificate, version):
    headgate = start(proxy(backend().address, certificate, workers=1))
    pid, secrets = headgate.child.pid, Secrets()
    first = served(headgate.port(), version, secrets)
    psk, session = first.tls.master_key(), first.tls.get_session()
    end([first])
    for _ in range(ROUNDS):
        end([served(headgate.port(), version, secrets, session=session)])
    headgate.wait_metric("headgate_connections_active", 0)
    assert headgate.metric("headgate_sessions_tickets_total", event="resumed") == ROUNDS
    gone(pid, [psk, *secrets.all()])


def private_numbers(pair):
    """The private number of an EC key, as files and as OpenSSL keep it."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pair.key.read_bytes(), None)
    value = key.private_numbers().private_value
    return [value.to_bytes(32, "big"), value.to_bytes(32, "little")]


def test_a_private_key_leaves_memory_with_its_certificate(start, backend, authority):
    old, new = authority.issue("app.test"), authority.issue("app.test")
    config = proxy(backend().address, old, workers=1)
    headgate = start(config)
    pid, secrets = headgate.child.pid, Secrets()
    end([served(headgate.port(), TLS13, secrets)])
    headgate.wait_metric("headgate_connections_active", 0)
    assert all(count_in_memory(pid, *private_numbers(old)))
    config["listeners"][0]["tls"]["certificates"] = [certificate_entry(new)]
    headgate.write_config(config)
    headgate.wait_log(message="reloaded")
    end([served(headgate.port(), TLS13, secrets)])
    gone(pid, private_numbers(old))
    assert all(count_in_memory(pid, *private_numbers(new)))


def ticket_keys(secret_file, rotate_every=6 * 3600):
    """The encryption and the MAC key of this time's slot. docs/certificates.md says how they are derived."""
    secret = bytes.fromhex(secret_file.read_text().strip().rsplit(":", 1)[1])
    slot = int(time.time()) // rotate_every
    info = b"headgate session ticket key 1" + slot.to_bytes(8, "big")
    derived = HKDF(hashes.SHA256(), 80, None, info).derive(secret)
    return secret, [derived[16:48], derived[48:80]]


@pytest.fixture
def secret_file(tmp_path):
    file = tmp_path / "fleet.secret"
    file.touch(0o600)
    file.write_text(run(headgate_binary(), "ticket-key", "new").stdout)
    return file


def test_ticket_keys_leave_memory_when_tickets_go_off(start, backend, certificate, secret_file):
    config = proxy(backend().address, certificate, workers=1, tls={"resumption": {"secret_file": str(secret_file)}})
    headgate = start(config)
    pid, secrets = headgate.child.pid, Secrets()
    for version in (TLS12, TLS13):
        end([served(headgate.port(), version, secrets)])
    secret, keys = ticket_keys(secret_file)
    assert count_in_memory(pid, secret) == [1]
    assert count_in_memory(pid, *keys) == [1, 1]
    config["listeners"][0]["tls"]["resumption"] = {"tickets": "off"}
    headgate.write_config(config)
    headgate.wait_log(message="reloaded")
    end([served(headgate.port(), TLS13, secrets)])
    gone(pid, [secret, *keys])


def test_ticket_keys_are_in_locked_memory_after_a_reload_and_an_upgrade_too(start, backend, certificate, secret_file):
    """Each is once in memory, which the kernel neither swaps nor dumps, and which a child process does not get.

    A reload, also one by the file watch, leaves the keys to the next connection.
    """
    config = proxy(backend().address, certificate, workers=1, tls={"resumption": {"secret_file": str(secret_file)}})
    headgate = start(config)

    def expect_locked(pid, secret, keys):
        def places():
            for version in (TLS12, TLS13):
                end([served(headgate.port(), version, Secrets())])
            return [flags_around(pid, each) for each in (secret, *keys)]

        def is_locked(flags):
            return len(flags) == 1 and {"lo", "dd", "wf"} <= flags[0]

        wait_until(lambda: all(map(is_locked, places())), places)

    before = ticket_keys(secret_file)
    expect_locked(headgate.child.pid, *before)
    replace_file(secret_file, run(headgate_binary(), "ticket-key", "new").stdout.encode(), mode=0o600)
    assert headgate.post("/reload")[0] == 200
    expect_locked(headgate.child.pid, *ticket_keys(secret_file))
    expect_locked(headgate.child.pid, *before)  # they open tickets for one lifetime more
    os.kill(headgate.child.pid, signal.SIGUSR2)
    new = int(headgate.wait_log(message="upgraded: the new process serves")[0]["pid"])
    expect_locked(new, *ticket_keys(secret_file))
    os.kill(new, signal.SIGTERM)
    headgate.child.wait(30)


def lock_no_memory():
    """Root's programs may lock memory in spite of the limit, unless this process has lost the right to give them that."""
    PR_CAPBSET_DROP, CAP_IPC_LOCK = 24, 14
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) == 0


def test_where_no_memory_may_be_locked_tickets_work_all_the_same(start, backend, certificate, secret_file):
    config = proxy(backend().address, certificate, workers=1, tls={"resumption": {"secret_file": str(secret_file)}})
    headgate = start(config, preexec_fn=lock_no_memory)
    first = served(headgate.port(), TLS12, Secrets())
    session = first.tls.get_session()
    end([first, served(headgate.port(), TLS12, Secrets(), session=session)])
    headgate.wait_metric("headgate_sessions_tickets_total", event="resumed")
    secret, _ = ticket_keys(secret_file)
    flags = flags_around(headgate.child.pid, secret)
    assert len(flags) == 1 and "lo" not in flags[0] and {"dd", "wf"} <= flags[0], flags


def test_an_upgrade_leaves_no_copy_of_a_secret(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, workers=1, drain={"deadline": "30s"}))
    secrets = Secrets()
    client = served(headgate.port(), TLS13, secrets)
    # This connection cannot move, so the old process stays.
    other = served(headgate.port(), TLS12, Secrets())
    os.kill(headgate.child.pid, signal.SIGUSR2)
    new = int(headgate.wait_log(message="upgraded: the new process serves")[0]["pid"])
    client.exchange(b"moved")
    in_use = [secrets.by_name[f"{side}_TRAFFIC_SECRET_0"][0] for side in ("CLIENT", "SERVER")]
    assert count_in_memory(new, *in_use) == [1, 1]
    gone(headgate.child.pid, in_use)
    end([client, other])
    gone(new, in_use)
    os.kill(new, signal.SIGTERM)
    headgate.child.wait(30)
