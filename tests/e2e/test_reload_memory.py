"""Reloads leave no memory behind."""

import pytest

from harness.config import proxy
from harness.tls_client import connect
from harness.waiting import wait_until


def reload_times(headgate, config, times):
    """Reloads with another configuration each time."""
    for i in range(times):
        config["listeners"][0]["timeouts"] = {"idle": f"{600 + i}s"}
        headgate.write_config(config)
        status, text = headgate.post("/reload")
        assert status == 200, text


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_after_1000_reloads_with_1000_open_connections_is_what_it_was(
    start, backend, certificate, record_property
):
    config = proxy(backend().address, certificate)
    headgate = start(config)
    clients = [connect(headgate.port()) for _ in range(1000)]
    for client in clients:
        client.exchange(b"before")
    config["listeners"][0]["bind"] = headgate.address()
    reload_times(headgate, config, 100)
    before = headgate.rss_bytes()
    descriptors = headgate.descriptors()
    reload_times(headgate, config, 1000)
    after = headgate.rss_bytes()
    record_property("kib_before", before // 1024)
    record_property("kib_after", after // 1024)
    print(f"resident before {before // 1024} KiB, after 1000 reloads {after // 1024} KiB")
    assert after < before + (2 << 20), f"{before} bytes before, {after} after"
    wait_until(lambda: headgate.descriptors() <= descriptors, "no descriptor is left of the reloads")
    for client in clients:
        client.exchange(b"after")
        client.close()
