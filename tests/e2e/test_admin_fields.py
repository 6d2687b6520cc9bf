"""The JSON answers of the admin endpoint have exactly the fields that its page in docs/ lists."""

import json
import re

from harness.config import proxy
from harness.tls_client import TLS12, connect, handshake_alert
from harness.tools import TOP
from harness.waiting import wait_until


def section(heading):
    page = (TOP / "docs" / "admin.md").read_text(encoding="utf-8")
    return page[page.index(f"\n## {heading}\n") :].partition("\n## ")[2].partition("\n## ")[0]


def described(text):
    return set(re.findall(r"`(\w+)(?:\[\])?`", text))


def keys(value):
    """Every name in an answer, at any depth."""
    if isinstance(value, dict):
        return set(value) | {name for one in value.values() for name in keys(one)}
    return {name for one in value for name in keys(one)} if isinstance(value, list) else set()


def test_every_field_of_the_status_is_described_and_none_that_is_not_there(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    with connect(headgate.port()) as client:
        client.exchange(b"x")
        assert headgate.post("/log?level=debug&listener=web")[0] == 200
        assert headgate.post("/drain?deadline=20m")[0] == 200
        wait_until(lambda: headgate.status()["drains"] and headgate.status()["log"]["overrides"], "both are shown")
        told = keys(headgate.status())
    rows = [row.split("|") for row in section("/status.json").splitlines() if row.startswith("| `")]
    first_column = {name for row in rows for name in described(row[1])}
    assert told <= described("\n".join("".join(row) for row in rows))
    assert first_column <= told


def test_every_field_of_a_connection_is_described_and_none_that_is_not_there(echo_proxy):
    with connect(echo_proxy.port()) as client:
        client.exchange(b"x")
        told = keys(json.loads(echo_proxy.get("/connections.json")[1]))
    assert described(section("/connections.json")) == told


def test_every_field_of_a_handshake_is_described_and_none_that_is_not_there(echo_proxy):
    with connect(echo_proxy.port()) as client:
        client.exchange(b"x")
    handshake_alert(echo_proxy.port(), version=TLS12, ciphers="AES128-SHA")
    answer = wait_until(
        lambda: (found := json.loads(echo_proxy.get("/handshakes.json")[1]))["failed"] and found, "the failure is there"
    )
    assert described(section("/handshakes.json")) == keys(answer)
