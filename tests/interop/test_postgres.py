"""PostgreSQL is the backend and psql the client. TLS begins after the protocol's own upgrade."""

import os

import pytest

from harness.config import proxy
from harness.servers import postgres
from harness.tools import run, tool


@pytest.fixture(scope="module")
def database():
    with postgres() as server:
        yield server


@pytest.fixture
def postgres_proxy(start, database, certificate, record_layer):
    listener = {"starttls": "postgres"}
    return start(proxy(database.address, certificate, tls={"record_layer": record_layer}, listener=listener))


def psql(headgate, query, sslmode="verify-full", authority=None):
    where = f"host=localhost port={headgate.port()} user=app dbname=postgres sslmode={sslmode} gssencmode=disable"
    if authority:
        where += f" sslrootcert={authority.file}"
    return run(tool("psql"), "-X", "-A", "-t", "-c", query, where, env={**os.environ, "PGCONNECT_TIMEOUT": "20"})


def test_psql_verifies_and_queries(postgres_proxy, authority):
    told = psql(postgres_proxy, "select 6 * 7", authority=authority)
    assert told.stdout == "42\n", told
    postgres_proxy.wait_metric("headgate_handshakes_total", result="ok")


def test_psql_moves_a_large_result(postgres_proxy, authority):
    told = psql(postgres_proxy, "select repeat('x', 5000000)", authority=authority)
    assert told.stdout == "x" * 5_000_000 + "\n"


def test_psql_without_tls_is_refused(postgres_proxy):
    told = psql(postgres_proxy, "select 1", sslmode="disable")
    assert told.returncode != 0
    postgres_proxy.wait_metric("headgate_connections_closed_total", reason="starttls_malformed")
