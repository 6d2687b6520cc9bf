"""Redis is the backend and redis-cli the client. TLS begins with the first byte, and in the protocol the client speaks
first."""

import pytest

from harness.config import proxy
from harness.servers import redis
from harness.tools import run, tool


@pytest.fixture
def redis_proxy(start, certificate, record_layer):
    with redis() as server:
        yield start(proxy(server.address, certificate, tls={"record_layer": record_layer}))


def redis_cli(headgate, authority, *words, stdin=""):
    return run(
        tool("redis-cli"), "-h", "127.0.0.1", "-p", headgate.port(), "--tls", "--cacert", authority.file,
        "--sni", "app.test", *words, stdin=stdin,
    )  # fmt: skip


def test_redis_cli_sets_and_gets(redis_proxy, authority):
    assert redis_cli(redis_proxy, authority, "SET", "key", "value").stdout == "OK\n"
    assert redis_cli(redis_proxy, authority, "GET", "key").stdout == "value\n"


def test_redis_takes_a_pipeline_of_ten_thousand_commands(redis_proxy, authority):
    told = redis_cli(redis_proxy, authority, "--pipe", stdin="INCR counter\r\n" * 10_000)
    assert "errors: 0, replies: 10000" in told.stdout, told
    assert redis_cli(redis_proxy, authority, "GET", "counter").stdout == "10000\n"


def test_redis_benchmark_runs_over_tls(redis_proxy, authority):
    told = run(
        tool("redis-benchmark"), "-h", "127.0.0.1", "-p", redis_proxy.port(), "--tls", "--cacert", authority.file,
        "-n", "2000", "-c", "20", "-q", "-t", "set,get",
    )  # fmt: skip
    assert told.returncode == 0 and "requests per second" in told.stdout, told
