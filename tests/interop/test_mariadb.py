"""MariaDB is the backend, and MariaDB's own client, Python's and Java's drivers are the clients. TLS begins after the
protocol's own upgrade, on both sides or on one."""

import ssl
from pathlib import Path

import pymysql
import pytest

from harness.config import plain_proxy, proxy
from harness.servers import mariadb
from harness.tools import run, tool

USERS = pytest.mark.parametrize("user", ["native", "ed"])


@pytest.fixture(scope="module")
def database(certificate):
    with mariadb(certificate) as server:
        yield server


@pytest.fixture
def over_unix_socket(start, database, certificate, record_layer):
    """Headgate with TLS before the server's unix socket."""
    return start(
        proxy(
            database.socket_address, certificate, tls={"record_layer": record_layer},
            listener={"starttls": "mysql", "timeouts": {"handshake": "60s"}}, app={"connect_timeout": "30s"},
        )  # fmt: skip
    )


@pytest.fixture
def asked(authority):
    """A backend that is asked for TLS."""
    tls = {"ca": str(authority.file), "server_name": "localhost", "starttls": "mysql"}
    return {"tls": tls, "connect_timeout": "10s"}


def mariadb_client(headgate, user, query, *options, authority=None, password="secret"):
    """`authority`: verifies the server, its name included."""
    tls = [f"--ssl-ca={authority.file}", "--ssl-verify-server-cert"] if authority else ["--skip-ssl"]
    return run(
        tool("mariadb"), "--no-defaults", "--protocol=tcp", "-h", "localhost", "-P", headgate.port(), f"-u{user}",
        f"-p{password}", *tls, "--batch", "--skip-column-names", *options, "-e", query, "app",
    )  # fmt: skip


CIPHER = "select variable_value != '' from information_schema.session_status where variable_name = 'Ssl_cipher'"


@USERS
def test_a_client_verifies_headgate_and_queries_a_server_on_a_unix_socket(over_unix_socket, authority, user):
    told = mariadb_client(over_unix_socket, user, f"select 6 * 7; {CIPHER}", authority=authority)
    assert told.stdout == "42\n0\n", told
    over_unix_socket.wait_metric("headgate_handshakes_total", result="ok")


@USERS
def test_a_client_verifies_headgate_and_queries_a_server_with_tls(start, database, certificate, authority, asked, user):
    headgate = start(proxy(database.address, certificate, listener={"starttls": "mysql"}, app=asked))
    told = mariadb_client(headgate, user, f"select 6 * 7; {CIPHER}", authority=authority)
    assert told.stdout == "42\n1\n", told


@USERS
def test_a_client_without_tls_queries_a_server_that_wants_it(start, database, asked, user):
    check = {"type": "tls", "interval": "200ms", "timeout": "5s"}
    headgate = start(plain_proxy(database.address, app={**asked, "health_check": check}))
    told = mariadb_client(headgate, user, f"select 6 * 7; {CIPHER}")
    assert told.stdout == "42\n1\n", told
    assert headgate.metric("headgate_backend_up") == 1


@USERS
def test_a_wrong_password_is_refused_by_the_server_itself(over_unix_socket, authority, user):
    told = mariadb_client(over_unix_socket, user, "select 1", authority=authority, password="wrong")
    assert told.returncode == 1 and "ERROR 1045 (28000): Access denied" in told.stderr, told


def test_a_client_without_tls_is_refused_with_what_to_change(over_unix_socket):
    told = mariadb_client(over_unix_socket, "native", "select 1")
    assert "ERROR 3159 (HY000)" in told.stderr and "TLS required" in told.stderr, told
    over_unix_socket.wait_metric("headgate_connections_closed_total", reason="starttls_not_requested")


def test_a_large_result_compressed_and_not(over_unix_socket, authority):
    for options in ([], ["--compress"]):
        told = mariadb_client(
            over_unix_socket, "native", "select repeat('x', 5000000)", *options, authority=authority
        )
        assert told.stdout == "x" * 5_000_000 + "\n"


def test_a_local_file_is_loaded(over_unix_socket, authority, tmp_path):
    (tmp_path / "rows").write_text("".join(f"{n}\n" for n in range(100_000)))
    told = mariadb_client(
        over_unix_socket, "native",
        f"create or replace table loaded (n int); load data local infile '{tmp_path}/rows' into table loaded;"
        "select count(*), sum(n) from loaded", "--local-infile=1", authority=authority,
    )  # fmt: skip
    assert told.stdout == "100000\t4999950000\n", told


def test_pymysql_verifies_headgate_and_uses_a_transaction(over_unix_socket, authority):
    context = ssl.create_default_context(cafile=str(authority.file))
    connection = pymysql.connect(
        host="localhost", port=over_unix_socket.port(), user="native", password="secret", database="app", ssl=context
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("create or replace table numbers (n int)")
        cursor.executemany("insert into numbers values (%s)", [(n,) for n in range(1000)])
        connection.commit()
        cursor.execute("select sum(n) from numbers")
        assert cursor.fetchone() == (499500,)
        connection.ping(reconnect=False)


@pytest.mark.slow
def test_javas_driver_verifies_headgate_and_prepares_statements(over_unix_socket, authority):
    url = (
        f"jdbc:mariadb://localhost:{over_unix_socket.port()}/app?user=native&password=secret&useServerPrepStmts=true"
        f"&useSsl=true&serverSslCert={authority.file}"
    )
    driver = "/usr/share/java/mariadb-java-client.jar"
    source = Path(__file__).with_name("MariadbClient.java")
    told = run(tool("java"), "-cp", driver, source, url, seconds=120)
    assert told.stdout == "42\n" * 3, told


def test_a_server_sees_its_own_machine_or_the_address_in_the_proxy_header(start, over_unix_socket, database, certificate, authority):
    assert mariadb_client(over_unix_socket, "native", "select user()", authority=authority).stdout == "native@localhost\n"
    app = {"send_proxy": "v2", "connect_timeout": "30s"}
    told = start(proxy(database.socket_address, certificate, listener={"starttls": "mysql"}, app=app))
    assert mariadb_client(told, "native", "select user()", authority=authority).stdout == "native@127.0.0.1\n"


def test_an_account_that_requires_ssl_needs_a_server_with_tls(start, over_unix_socket, database, certificate, authority, asked):
    refused = mariadb_client(over_unix_socket, "strict", "select 1", authority=authority)
    assert "Access denied" in refused.stderr, refused
    served = start(proxy(database.address, certificate, listener={"starttls": "mysql"}, app=asked))
    assert mariadb_client(served, "strict", "select 1", authority=authority).stdout == "1\n"
