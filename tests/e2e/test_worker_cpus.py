"""Workers that are bound to CPUs."""

import json
import os
from pathlib import Path

import pytest
import yaml
from harness.config import plain_proxy, proxy
from harness.tls_client import TLS12, connect, raw_socket
from harness.tools import headgate_binary, run
from harness.waiting import wait_until

CPUS = sorted(os.sched_getaffinity(0))
FIRST, LAST = CPUS[0], CPUS[-1]
NONE = 8191


def affinities(pid):
    """By the name of each thread: the CPUs that it may run on."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found[(task / "comm").read_text().strip()] = os.sched_getaffinity(int(task.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def bound(pid):
    return {name: cpus for name, cpus in affinities(pid).items() if name.startswith("worker-")}


def wait_bound(pid, wanted):
    wait_until(lambda: bound(pid) == wanted, lambda: f"the workers may run on {bound(pid)}, not on {wanted}")


def answers(headgate):
    with raw_socket(headgate.port()) as client:
        client.sendall(b"x")
        return client.recv(1) == b"x"


def test_each_worker_is_bound_to_its_cpu_and_no_other_thread_is(start, backend):
    headgate = start(plain_proxy(backend().address, workers={"cpus": [LAST, f"{FIRST}-{FIRST}"]}))
    pid = headgate.child.pid
    wait_bound(pid, {"worker-0": {LAST}, "worker-1": {FIRST}})
    others = {name: cpus for name, cpus in affinities(pid).items() if not name.startswith("worker-")}
    assert others and all(cpus == set(CPUS) for cpus in others.values()), others
    assert headgate.metric("headgate_worker_cpu", worker="0") == LAST
    assert [worker["cpu"] for worker in headgate.status()["workers"]] == [LAST, FIRST]
    assert answers(headgate)


def test_workers_share_the_cpus_where_there_are_more_of_them_and_check_warns(start, backend, tmp_path):
    config = plain_proxy(backend().address, workers={"count": 2, "cpus": LAST})
    headgate = start(config)
    wait_bound(headgate.child.pid, {"worker-0": {LAST}, "worker-1": {LAST}})
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(config))
    checked = run(headgate_binary(), "check", "--config", file)
    assert checked.returncode == 0 and "workers.cpus: warning: has fewer CPUs than" in checked.stdout + checked.stderr


def test_without_cpus_no_worker_is_bound(start, backend):
    headgate = start(plain_proxy(backend().address, workers={"count": 2}))
    assert bound(headgate.child.pid) == {"worker-0": set(CPUS), "worker-1": set(CPUS)}
    assert "headgate_worker_cpu" not in headgate.get("/metrics")[1]


def test_a_reload_binds_frees_adds_and_retires_workers(line, backend):
    config = plain_proxy(backend().address, workers=1)
    running = line(config)
    headgate = running.headgate
    for workers, wanted in (
        ({"cpus": [FIRST]}, {"worker-0": {FIRST}}),
        ({"cpus": [LAST, FIRST]}, {"worker-0": {LAST}, "worker-1": {FIRST}}),
        (2, {"worker-0": set(CPUS), "worker-1": set(CPUS)}),
        ({"count": 1, "cpus": LAST}, {"worker-0": {LAST}}),
    ):
        headgate.write_config({**config, "workers": workers})
        assert headgate.post("/reload")[0] == 200, headgate.output
        wait_bound(running.pid, wanted)
        assert answers(headgate)
    running.upgrade()
    wait_bound(running.pid, {"worker-0": {LAST}})
    assert answers(headgate)


def test_a_reload_leaves_the_cpus_of_a_thread_that_headgate_has_not_bound(start, backend):
    config = plain_proxy(backend().address, workers=1)
    headgate = start(config)
    [thread] = [
        int(task.name)
        for task in Path(f"/proc/{headgate.child.pid}/task").iterdir()
        if (task / "comm").read_text() == "worker-0\n"
    ]
    os.sched_setaffinity(thread, {LAST})
    headgate.write_config({**config, "drain": {"deadline": "2s"}})
    assert headgate.post("/reload")[0] == 200
    assert answers(headgate)
    assert bound(headgate.child.pid)["worker-0"] == {LAST}


def test_the_crypto_offload_thread_runs_on_the_cpus_of_all_workers(start, backend, rsa_certificate):
    headgate = start(proxy(backend().address, rsa_certificate, workers={"count": 1, "cpus": [FIRST, LAST]}))
    with connect(headgate.port(), version=TLS12) as client:
        client.exchange(b"x")
    wait_bound(headgate.child.pid, {"worker-0": {FIRST}, "worker-0-rsa": {FIRST, LAST}})


def test_a_cpu_that_the_process_may_not_use_refuses_the_start_and_a_reload(start, backend):
    config = plain_proxy(backend().address, workers=1)
    headgate = start(config)
    faulty = {**config, "workers": {"cpus": [FIRST, NONE]}}
    headgate.write_config(faulty)
    code, text = headgate.post("/reload")
    assert code == 422 and f"workers.cpus: CPU {NONE} is none that this process may use" in text
    assert answers(headgate)
    refused = start(faulty, wait=False)
    refused.expected_exit = 3
    assert refused.wait_exit() == 3
    assert f"workers.cpus: CPU {NONE} is none that this process may use; it may use {FIRST}" in refused.output


KERNEL = tuple(int(part) for part in os.uname().release.split(".")[:2])


@pytest.mark.skipif(FIRST == LAST or KERNEL < (6, 2), reason="needs two CPUs, and Linux 6.2")
def test_connections_follow_the_cpu_that_receives_them(line, backend):
    """On loopback the client's CPU receives a connection. Without `incoming_cpu` a hash chooses the worker."""
    following = {"cpus": [FIRST, LAST], "incoming_cpu": "on"}
    config = plain_proxy(backend().address, workers=following)
    running = line(config)
    everywhere = os.sched_getaffinity(0)

    def workers_of(cpu):
        os.sched_setaffinity(0, {cpu})
        try:
            clients = [raw_socket(running.headgate.port()) for _ in range(24)]
        finally:
            os.sched_setaffinity(0, everywhere)
        for client in clients:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        here = {f"127.0.0.1:{client.getsockname()[1]}" for client in clients}
        told = json.loads(running.headgate.get("/connections.json?limit=1000")[1])["connections"]
        for client in clients:
            client.close()
        found = [one["worker"] for one in told if one["source"] in here]
        assert len(found) == 24, told
        return set(found)

    def follows():
        return workers_of(FIRST) == {0} and workers_of(LAST) == {1}

    assert follows()
    running.upgrade()
    assert follows()
    running.headgate.write_config({**config, "workers": {"cpus": [FIRST, LAST]}})
    assert running.headgate.post("/reload")[0] == 200
    assert workers_of(FIRST) == {0, 1}
    running.headgate.write_config(config)
    assert running.headgate.post("/reload")[0] == 200
    assert follows()


@pytest.mark.parametrize(
    ("workers", "fault"),
    [
        ({"cpus": "3-1"}, "is not a CPU"),
        ({"cpus": ["a"]}, "is not a CPU"),
        ({"cpus": [8192]}, "is not a CPU; write a number from 0 to 8191"),
        ({"cpus": ["0-"]}, "is not a CPU"),
        ({"cpus": ["0-3", 2]}, "workers.cpus[1]: names CPU 2 a second time"),
        ({"count": 0}, "is not a number of workers"),
        ({"threads": 2}, "threads"),
        ({"incoming_cpu": "on"}, "workers.incoming_cpu: needs workers.cpus"),
        ({"cpus": [0], "incoming_cpu": "auto"}, "workers.incoming_cpu"),
        ([1], "workers"),
    ],
)
def test_check_names_the_fault(tmp_path, workers, fault):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(plain_proxy("127.0.0.1:9", workers=workers)))
    checked = run(headgate_binary(), "check", "--config", file)
    assert checked.returncode == 1 and fault in checked.stdout + checked.stderr, checked


def test_show_writes_the_number_alone_unless_cpus_are_given(tmp_path):
    file = tmp_path / "headgate.yaml"
    for workers, shown in ((3, 3), ({"count": 3}, 3), ({"cpus": ["0-1", 4]}, {"count": "auto", "cpus": ["0-1", "4"], "incoming_cpu": False})):
        file.write_text(json.dumps(plain_proxy("127.0.0.1:9", workers=workers)))
        assert yaml.safe_load(run(headgate_binary(), "show", "--config", file).stdout)["workers"] == shown
