"""KeyUpdate: the client changes keys, once or without end."""

import pytest

from harness.config import proxy
from harness.dialogue import Dialogue
from harness.tools import tool


@pytest.fixture
def s_client(start, backend, certificate, record_layer):
    """`openssl s_client` over TLS 1.3 before an echo, with its commands switched on."""
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    with Dialogue(tool("openssl"), "s_client", "-connect", headgate.address(), "-tls1_3", "-crlf") as client:
        client.expect("Verify return code")
        client.say("before\n")
        client.expect("before")
        yield client


def test_a_clients_key_update_is_followed(s_client):
    s_client.say("k\n")
    s_client.expect("KEYUPDATE")
    s_client.say("after the update\n")
    s_client.expect("after the update")


def test_a_clients_key_update_that_asks_for_ours_is_answered(s_client):
    s_client.say("K\n")
    s_client.expect("KEYUPDATE")
    s_client.say("after both updates\n")
    s_client.expect("after both updates")


def test_many_key_updates_between_data_are_followed(s_client):
    for number in range(10):
        s_client.say("K\n" if number % 2 else "k\n")
        s_client.expect("KEYUPDATE", count=number + 1)
        s_client.say(f"line {number}\n")
        s_client.expect(f"line {number}")
