"""A reload puts changes in force and keeps everything else. A bad file changes nothing."""

import contextlib
import json
import os
import signal
import time

import pytest

from harness.authority import DAY, Authority, replace_file
from harness.backends import greeting_then_echo
from harness.config import certificate_entry, proxy
from harness.knocking import Knocking
from harness.tls_client import connect, handshake_alert, raw_socket
from harness.tools import headgate_binary, run
from harness.waiting import wait_until, wait_until_quick

NAME = "headgate_reloads_total"


@pytest.fixture
def own(tmp_path, authority):
    """A certificate in files of this test alone, which it replaces."""
    ours = Authority(tmp_path / "own")
    return ours, ours.issue("app.test", file="web")


def served(headgate):
    with connect(headgate.port()) as client:
        return client.certificate()


def reload_by_signal(headgate, result="ok"):
    before = headgate.metric(NAME)
    headgate.signal(signal.SIGHUP)
    wait_until(lambda: headgate.metric(NAME) > before, lambda: f"it reloads\n{headgate.output}")
    assert headgate.metric(NAME, result=result) >= 1, headgate.output


def test_a_new_certificate_is_served_after_sighup(start, backend, own):
    ours, pair = own
    headgate = start(proxy(backend().address, pair))
    fresh = ours.issue("app.test", file="web")
    reload_by_signal(headgate)
    wait_until(lambda: served(headgate) == fresh.x509, "the new certificate is served")


def test_a_changed_certificate_is_served_by_itself_within_a_second(start, backend, own):
    ours, pair = own
    headgate = start(proxy(backend().address, pair))

    def change():
        fresh = ours.issue("app.test", file="web")
        changed = time.monotonic()
        wait_until(lambda: served(headgate) == fresh.x509, "the new certificate is served")
        return time.monotonic() - changed

    wait_until_quick(change, 1)


def test_the_kubernetes_symlink_swap_is_noticed(start, backend, tmp_path):
    ours = Authority(tmp_path / "ca")
    volume = tmp_path / "volume"

    def put(generation):
        pair = ours.issue("app.test", file=generation)
        folder = volume / f"..{generation}"
        folder.mkdir(parents=True)
        replace_file(folder / "tls.crt", pair.certificate.read_bytes())
        replace_file(folder / "tls.key", pair.key.read_bytes(), mode=0o600)
        link = volume / "..data_tmp"
        link.symlink_to(folder.name)
        link.rename(volume / "..data")
        return pair

    first = put("one")
    for name in ("tls.crt", "tls.key"):
        (volume / name).symlink_to(f"..data/{name}")
    config = proxy(backend().address)
    entry = {"certificate": str(volume / "tls.crt"), "private_key": str(volume / "tls.key")}
    config["listeners"][0]["tls"]["certificates"] = [entry]
    headgate = start(config)
    assert served(headgate) == first.x509
    second = put("two")
    wait_until(lambda: served(headgate) == second.x509, "the swapped certificate is served")


def test_open_connections_live_through_a_reload(start, backend, own):
    ours, pair = own
    headgate = start(proxy(backend().address, pair))
    with connect(headgate.port()) as client:
        client.exchange(b"before")
        ours.issue("app.test", file="web")
        reload_by_signal(headgate)
        client.exchange(b"after")


def test_new_connections_go_to_the_new_backend_and_old_ones_stay(start, backend, certificate):
    old = backend(greeting_then_echo(b"o"))
    new = backend(greeting_then_echo(b"n"))
    config = proxy(old.address, certificate)
    headgate = start(config)
    with connect(headgate.port()) as client:
        assert client.recv_exactly(1) == b"o"
        config["backends"]["app"]["servers"] = [new.address]
        headgate.write_config(config)
        reload_by_signal(headgate)
        with connect(headgate.port()) as later:
            assert later.recv_exactly(1) == b"n"
        client.exchange(b"still with the old one")


def test_a_changed_configuration_file_is_taken_by_itself(start, backend, certificate):
    config = proxy(backend(greeting_then_echo(b"o")).address, certificate)
    headgate = start(config)
    config["backends"]["app"]["servers"] = [backend(greeting_then_echo(b"n")).address]
    headgate.write_config(config)

    def greeting():
        with connect(headgate.port()) as client:
            return client.recv_exactly(1)

    wait_until(lambda: greeting() == b"n", "the new configuration is in force")


def test_a_listener_may_be_added_and_removed(start, backend, certificate):
    config = proxy(backend().address, certificate)
    headgate = start(config)
    first = config["listeners"][0]
    headgate.write_config({**config, "listeners": [first, {**first, "name": "more"}]})
    reload_by_signal(headgate)
    port = headgate.port("more")
    with connect(port) as client:
        client.exchange(b"x")
    headgate.write_config(config)
    reload_by_signal(headgate)

    def refuses():
        try:
            raw_socket(port).close()
            return False
        except ConnectionRefusedError:
            return True

    wait_until(refuses, "the removed listener is closed")
    with connect(headgate.port()) as client:
        client.exchange(b"the other stays")


def bad_reload(headgate, config):
    headgate.write_config(config)
    status, text = headgate.post("/reload")
    assert status >= 400
    assert headgate.metric(NAME, result="ok") == 0
    return text


def test_a_bad_configuration_changes_nothing_and_says_every_fault(start, backend, certificate):
    config = proxy(backend().address, certificate)
    headgate = start(config)
    text = bad_reload(headgate, {**config, "listenerz": 1, "workerz": 2})
    assert "listenerz" in text and "workerz" in text
    with connect(headgate.port()) as client:
        client.exchange(b"as before")
    for key in ("listenerz", "workerz"):
        headgate.wait_fault(key)
        assert [fault for fault in headgate.status()["reload"]["faults"] if key in fault]
    assert headgate.metric(NAME, result="failed") == 1
    assert headgate.status()["reload"]["last_result"] == "failed"


def test_a_key_that_does_not_match_leaves_the_old_certificate_serving(start, backend, own):
    ours, pair = own
    headgate = start(proxy(backend().address, pair))
    other = ours.issue("app.test", file="other")
    replace_file(pair.key, other.key.read_bytes(), mode=0o600)
    assert headgate.post("/reload")[0] >= 400
    assert served(headgate) == pair.x509


def test_a_half_written_certificate_leaves_the_old_one_serving(start, backend, own):
    ours, pair = own
    headgate = start(proxy(backend().address, pair))
    whole = ours.issue("app.test", file="other")
    pem = whole.certificate.read_bytes()
    pair.certificate.write_bytes(pem[: len(pem) // 2])
    assert headgate.post("/reload")[0] >= 400
    assert served(headgate) == pair.x509
    replace_file(pair.key, whole.key.read_bytes(), mode=0o600)
    pair.certificate.write_bytes(pem)
    wait_until(lambda: served(headgate) == whole.x509, "the whole one is served")


def test_a_certificate_that_is_deleted_and_comes_back_changed_is_taken_then(start, backend, own):
    ours, pair = own
    headgate = start(proxy(backend().address, pair))
    pair.certificate.unlink()
    with connect(headgate.port()) as client:
        assert client.certificate() == pair.x509
    fresh = ours.issue("app.test", file="web")
    wait_until(lambda: served(headgate) == fresh.x509, "the certificate that came back is served")
    assert headgate.metric(NAME, result="failed") == 0


def test_a_certificate_rewritten_in_place_bit_by_bit_is_waited_out(start, backend, own):
    ours, pair = own
    headgate = start(proxy(backend().address, pair))
    fresh = ours.issue("app.test", file="fresh")
    pair.key.write_bytes(fresh.key.read_bytes())
    pem = fresh.certificate.read_bytes()
    with pair.certificate.open("r+b", buffering=0) as file:
        file.truncate(0)
        for begin in range(0, len(pem), 40):  # never unchanged for so long that it counts as complete
            file.write(pem[begin : begin + 40])
            time.sleep(0.01)
    wait_until(lambda: served(headgate) == fresh.x509, "the whole certificate is served")
    assert headgate.metric(NAME, result="failed") == 0, headgate.output


def files_of_every_kind(directory, authority):
    """The name of each kind of file, and the function that replaces it."""
    secret = directory / "secret"

    def write_secret():
        replace_file(secret, run(headgate_binary(), "ticket-key", "new").stdout.encode(), mode=0o600)

    many = directory / "many"
    many.mkdir()
    ca = directory / "clients.pem"
    backend_ca = directory / "servers.pem"
    one = authority.issue(client=True)

    def write_into_directory():
        pair = authority.issue("many.test", file="many")
        replace_file(many / "x.pem", pair.certificate.read_bytes() + pair.key.read_bytes())

    def write_ca(file):
        def write():
            replace_file(file, authority.file.read_bytes() + Authority(directory / os.urandom(4).hex()).file.read_bytes())

        return write

    kinds = {
        "secret": (secret, write_secret),
        "directory": (many, write_into_directory),
        "client_ca": (ca, write_ca(ca)),
        "crl": (authority.directory / "watched.crl", lambda: authority.revocation_list(one, file="watched.crl")),
        "backend_ca": (backend_ca, write_ca(backend_ca)),
        "backend_certificate": (authority.directory / "own.crt", lambda: authority.issue(client=True, file="own")),
    }
    for kind, (_, write) in kinds.items():
        if kind != "directory":
            write()
    return kinds


def test_files_of_every_kind_are_watched(start, backend, certificate, tmp_path):
    ours = Authority(tmp_path / "ours")
    kinds = files_of_every_kind(tmp_path, ours)
    path = {kind: str(file) for kind, (file, _) in kinds.items()}
    tls = {
        "certificate_dirs": [path["directory"]],
        "client_auth": {"mode": "optional", "ca": path["client_ca"], "crl": path["crl"]},
        "resumption": {"secret_file": path["secret"]},
    }
    own = {"certificate": path["backend_certificate"], "private_key": str(ours.directory / "own.key")}
    config = proxy(backend().address, certificate, tls=tls)
    # No client connects there: the test is about the files that are read.
    config["backends"]["secured"] = {
        "servers": ["127.0.0.1:1"],
        "tls": {"server_name": "a.test", "ca": path["backend_ca"], **own},
    }
    headgate = start(config)
    for kind, (_, write) in kinds.items():
        before = headgate.metric(NAME)
        write()
        wait_until(lambda before=before: headgate.metric(NAME) > before, lambda kind=kind: f"{kind}\n{headgate.output}")
        assert headgate.metric(NAME, result="failed") == 0, f"{kind}\n{headgate.output}"


def test_an_expired_certificate_is_refused_and_the_old_one_serves(start, backend, own):
    ours, pair = own
    headgate = start(proxy(backend().address, pair))
    ours.issue("app.test", file="web", not_before=-10 * DAY, not_after=-DAY)
    assert headgate.post("/reload")[0] >= 400
    assert served(headgate) == pair.x509


def test_a_certificate_without_the_old_ones_names_is_refused(start, backend, own):
    ours, pair = own
    headgate = start(proxy(backend().address, pair))
    ours.issue("other.test", file="web")
    assert headgate.post("/reload")[0] >= 400
    assert served(headgate) == pair.x509


def test_post_reload_answers_with_the_outcome(echo_proxy):
    status, text = echo_proxy.post("/reload")
    assert status == 200 and text


def test_get_reload_is_refused(echo_proxy):
    assert echo_proxy.get("/reload")[0] == 405


def test_a_thousand_sighups_are_a_few_reloads(echo_proxy):
    for _ in range(1000):
        echo_proxy.signal(signal.SIGHUP)
    wait_until(lambda: echo_proxy.metric(NAME) >= 1, "it reloads")
    with connect(echo_proxy.port()) as client:
        client.exchange(b"x")
    assert echo_proxy.metric(NAME) < 100


@pytest.mark.memory
def test_memory_after_two_hundred_reloads_with_open_connections_is_what_it_was(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    clients = [connect(headgate.port()) for _ in range(50)]
    try:
        for _ in range(20):
            assert headgate.post("/reload")[0] == 200
        before = headgate.rss_bytes()
        for _ in range(200):
            assert headgate.post("/reload")[0] == 200
        assert headgate.rss_bytes() - before < 8 << 20
        for client in clients:
            client.exchange(b"still here")
    finally:
        for client in clients:
            client.close()


def test_no_connection_is_refused_during_fifty_reloads(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    port = headgate.port()
    for _ in range(50):
        headgate.signal(signal.SIGHUP)
        with connect(port) as client:
            client.exchange(b"x")


def test_listeners_and_workers_may_change_without_a_connection_lost_on_those_that_stay(start, backend, certificate):
    config = proxy(backend().address, certificate, workers=2)
    headgate = start(config)
    (web,) = config["listeners"]
    with contextlib.ExitStack() as stay, Knocking(headgate.port()) as knocking:
        for turn, workers in enumerate((4, 1, 3, 2, 1, 4, 2)):
            held = stay.enter_context(connect(headgate.port()))
            held.exchange(b"before")
            changed = {**web, "timeouts": {"idle": f"{100 + turn}s"}, "deny": ["192.0.2.0/24"] if turn % 2 else []}
            more = [{**web, "name": f"more-{turn}"}]
            headgate.write_config({**config, "workers": workers, "listeners": [*more, changed]})
            assert headgate.post("/reload")[0] == 200
            assert len([one for one in headgate.status()["listeners"]]) == 2
            with connect(headgate.port(f"more-{turn}")) as client:
                client.exchange(b"a listener that was added")
            before = knocking.count
            wait_until(lambda: knocking.count > before + 20 or knocking.failures, "the client goes on")
            held.exchange(b"after")
    assert knocking.failures == []


def test_all_workers_that_are_left_accept_what_the_others_accepted_before(start, backend, certificate):
    config = proxy(backend().address, certificate, workers=4)
    headgate = start(config)
    headgate.write_config({**config, "workers": 2})
    assert headgate.post("/reload")[0] == 200
    with contextlib.ExitStack() as held:
        for _ in range(60):
            held.enter_context(connect(headgate.port())).exchange(b"x")
        live = json.loads(headgate.get("/connections.json?limit=1000")[1])["connections"]
        assert len(live) == 60
        assert {one["worker"] for one in live} == {0, 1}


def test_counters_do_not_fall_by_a_reload(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    for _ in range(5):
        with connect(headgate.port()) as client:
            client.exchange(b"x")
    reload_by_signal(headgate)
    assert headgate.metric("headgate_connections_accepted_total") == 5


def test_a_second_certificate_is_added_by_reload(start, backend, certificate, authority):
    config = proxy(backend().address, certificate)
    headgate = start(config)
    more = authority.issue("more.test")
    config["listeners"][0]["tls"]["certificates"].append(certificate_entry(more))
    headgate.write_config(config)
    reload_by_signal(headgate)
    with connect(headgate.port(), sni="more.test") as client:
        assert client.certificate() == more.x509


def test_a_stale_revocation_list_leaves_the_old_one_in_force(start, backend, certificate, authority):
    ours = authority.issue(client=True)
    crl = authority.revocation_list(ours, file=f"{ours.certificate.stem}-stale.crl")
    tls = {"client_auth": {"mode": "required", "ca": str(authority.file), "crl": str(crl)}}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    authority.revocation_list(file=crl.name, last_update=-10 * DAY, next_update=-DAY)
    headgate.post("/reload")
    wait_until(lambda: "out of date" in headgate.output, lambda: headgate.output)
    assert "revoked" in handshake_alert(headgate.port(), certificate=ours)


def test_a_reload_that_missed_a_file_is_tried_again_when_the_file_comes(start, backend, certificate, tmp_path):
    address = backend().address
    headgate = start(proxy(address, certificate))
    late = Authority(tmp_path / "late").issue("app.test", file="web")
    parked = late.certificate.with_suffix(".parked")
    late.certificate.rename(parked)
    headgate.write_config(proxy(address, late))
    wait_until(lambda: headgate.metric(NAME, result="failed") >= 1, lambda: headgate.output)
    parked.rename(late.certificate)
    wait_until(lambda: served(headgate) == late.x509, lambda: f"the certificate is served\n{headgate.output}")


def test_a_reload_names_the_keys_that_wait_for_a_restart_until_they_have_their_old_values(start, backend, certificate):
    config = proxy(backend().address, certificate)
    headgate = start(config)

    def reload_with(**changed):
        headgate.write_config({**config, **changed})
        status, text = headgate.post("/reload")
        assert status == 200, text
        return json.loads(text)["message"], headgate.status()["reload"]["for_restart"]

    assert reload_with(workers=1) == ("reloaded", [])
    other = {"admin": {"bind": "off"}, "log": {**config["log"], "format": "text"}, "user": "nobody"}
    waiting = ["admin.bind", "log.format", "user"]
    notice = "a restart is needed for admin.bind, log.format and user"
    assert reload_with(**other)[1] == waiting
    assert reload_with(**other) == (f"reloaded; {notice}", waiting), "it is said until it is done"
    assert headgate.wait_log(message=notice)[0]["level"] == "warn"
    assert reload_with(user="nobody", group="nogroup") == ("reloaded; a restart is needed for user and group", ["user", "group"])
    assert reload_with() == ("reloaded", [])
