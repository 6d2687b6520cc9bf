"""`include`: a configuration of several files is one configuration at the start, for reloads, upgrades and every command."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from harness.authority import replace_file
from harness.backends import greeting_then_echo
from harness.config import SANITIZED, certificate_entry, file_text, proxy
from harness.headgate import Headgate
from harness.tls_client import connect
from harness.tools import headgate_binary, run
from harness.waiting import wait_until

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


def write(file, config):
    """Replaces a file by rename, as a careful operator does."""
    replace_file(file, (config if isinstance(config, str) else json.dumps(config)).encode(), mode=0o644)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "conf.d"
    made.mkdir()
    return made


def main_file(folder, **top):
    config = proxy("127.0.0.1:9", **top)
    del config["listeners"], config["backends"]
    return {**config, "include": str(folder)}


def service(name, backend, pair):
    """A file for one service: a listener of its own, and a backend."""
    return {
        "listeners": [{"name": name, "bind": "127.0.0.1:0", "tls": {"certificates": [certificate_entry(pair)]}, "backend": name}],
        "backends": {name: {"servers": [backend.address]}},
    }


def greeting(headgate, listener):
    with connect(headgate.port(listener)) as client:
        return client.recv_exactly(1)


def listeners(headgate):
    return [one["name"] for one in headgate.status()["listeners"]]


def wait_listeners(headgate, *names):
    wait_until(lambda: listeners(headgate) == list(names), lambda: f"{listeners(headgate)}\n{headgate.output}")


def test_services_come_change_and_go_with_their_files(start, backend, certificate, folder):
    one, two, other = (backend(greeting_then_echo(letter)) for letter in (b"1", b"2", b"3"))
    write(folder / "10-one.yaml", service("one", one, certificate))
    headgate = start(main_file(folder))
    assert greeting(headgate, "one") == b"1"
    with connect(headgate.port("one")) as kept:
        assert kept.recv_exactly(1) == b"1"
        write(folder / "05-two.yaml", service("two", two, certificate))
        wait_listeners(headgate, "two", "one")
        assert greeting(headgate, "two") == b"2"
        write(folder / "05-two.yaml", service("two", other, certificate))
        wait_until(lambda: greeting(headgate, "two") == b"3", lambda: headgate.output)
        (folder / "10-one.yaml").write_text(json.dumps(service("one", other, certificate)))  # in place
        wait_until(lambda: greeting(headgate, "one") == b"3", lambda: headgate.output)
        (folder / "05-two.yaml").unlink()
        wait_listeners(headgate, "one")
        kept.exchange(b"through every reload")
    assert headgate.metric("headgate_reloads_total", result="failed") == 0


def test_a_bad_file_changes_nothing_until_it_is_right(start, backend, certificate, folder):
    write(folder / "one.yaml", service("one", backend(greeting_then_echo(b"1")), certificate))
    headgate = start(main_file(folder))
    failed = 0
    for text, fault in (
        ("listeners: [\n", r"two.yaml:2:1: yaml: "),
        ("", "two.yaml: is empty"),
        ("listeners:\n  - {name: one, bind: '127.0.0.1:0', backend: one}\n", "two.yaml:2:12: listeners[1].name: "),
        ("backends:\n  one: {servers: '127.0.0.1:9'}\n", "two.yaml:2:3: backends.one: is given at "),
        ("drain: {deadline: 5s}\n", "two.yaml:1:1: drain: is given at "),
        ("listeners:\n  - {name: two, bind: '127.0.0.1:0', backend: tow}\n", "there is no backend \"tow\""),
        ("include: .\n", "two.yaml:1:1: include: belongs in "),
    ):
        write(folder / "two.yaml", text)
        failed += 1
        wait_until(
            lambda: headgate.metric("headgate_reloads_total", result="failed") >= failed, lambda: f"{text}\n{headgate.output}"
        )
        faults = headgate.status()["reload"]["faults"]
        assert any(fault in one for one in faults), (text, faults)
        failed = headgate.metric("headgate_reloads_total", result="failed")
        assert listeners(headgate) == ["one"] and greeting(headgate, "one") == b"1"
    write(folder / "two.yaml", service("two", backend(greeting_then_echo(b"2")), certificate))
    wait_listeners(headgate, "one", "two")
    assert headgate.status()["reload"]["faults"] == []


def test_files_of_editors_make_no_reload(start, backend, certificate, folder):
    write(folder / "one.yaml", service("one", backend(greeting_then_echo(b"1")), certificate))
    headgate = start(main_file(folder))
    for name in (".one.yaml.swp", "one.yaml~", "#one.yaml#", "one.yaml.bak", "4913"):
        (folder / name).write_text("nonsense [")
    (folder / ".#one.yaml").symlink_to("root@host.1:1")
    write(folder / "two.yaml", service("two", backend(greeting_then_echo(b"2")), certificate))
    wait_listeners(headgate, "one", "two")
    assert headgate.status()["reload"]["failed"] == 0
    assert {entry["first"] for entry in headgate.wait_log(message="files changed: reloading")} == {str(folder / "two.yaml")}


def test_the_swap_of_a_mounted_config_map_is_one_reload(start, backend, certificate, tmp_path):
    volume = tmp_path / "volume"

    def put(generation, *services):
        data = volume / f"..{generation}"
        data.mkdir(parents=True)
        for name, letter in services:
            write(data / f"{name}.yaml", service(name, backend(greeting_then_echo(letter)), certificate))
            if not (volume / f"{name}.yaml").is_symlink():
                (volume / f"{name}.yaml").symlink_to(f"..data/{name}.yaml")
        link = volume / "..data_tmp"
        link.symlink_to(data.name)
        link.rename(volume / "..data")
        for entry in volume.glob("*.yaml"):
            if not entry.exists():
                entry.unlink()

    put("1", ("one", b"1"), ("two", b"2"))
    headgate = start(main_file(volume))
    assert [greeting(headgate, name) for name in ("one", "two")] == [b"1", b"2"]
    put("2", ("one", b"a"), ("two", b"b"))
    wait_until(lambda: [greeting(headgate, name) for name in ("one", "two")] == [b"a", b"b"], lambda: headgate.output)
    put("3", ("one", b"x"), ("three", b"3"))
    wait_listeners(headgate, "one", "three")
    assert greeting(headgate, "one") == b"x" and greeting(headgate, "three") == b"3"


def test_a_directory_that_is_included_later_is_watched_even_while_it_has_a_fault(start, backend, certificate, folder, tmp_path):
    write(folder / "one.yaml", service("one", backend(greeting_then_echo(b"1")), certificate))
    headgate = start(main_file(folder))
    more = tmp_path / "more.d"
    more.mkdir()
    write(more / "two.yaml", "backends: [\n")
    headgate.write_config({**main_file(folder), "include": [str(folder), str(more)]})
    wait_until(lambda: headgate.metric("headgate_reloads_total", result="failed") >= 1, lambda: headgate.output)
    write(more / "two.yaml", service("two", backend(greeting_then_echo(b"2")), certificate))
    wait_listeners(headgate, "one", "two")


@pytest.mark.skipif(SANITIZED, reason="a build with sanitizers runs without the sandbox")
def test_an_upgrade_in_the_sandbox_reads_the_same_files(line, backend, certificate, folder):
    write(folder / "one.yaml", service("one", backend(greeting_then_echo(b"1")), certificate))
    running = line(main_file(folder), sandbox=True)
    headgate = running.headgate
    with connect(headgate.port("one")) as client:
        assert client.recv_exactly(1) == b"1"
        write(folder / "two.yaml", service("two", backend(greeting_then_echo(b"2")), certificate))
        wait_listeners(headgate, "one", "two")
        before = headgate.metric("headgate_config_hash")
        assert running.upgrade()["moved"] == 1
        client.exchange(b"over the upgrade")
        assert headgate.metric("headgate_config_hash") == before
        write(folder / "three.yaml", service("three", backend(greeting_then_echo(b"3")), certificate))
        wait_listeners(headgate, "one", "three", "two")
        write(folder / "three.yaml", "nonsense: [")
        running.fail()
        assert listeners(headgate) == ["one", "three", "two"]
        client.exchange(b"over the failure")


def test_the_hash_is_of_what_all_files_say_together(start, backend, certificate, folder):
    first = service("one", backend(), certificate)
    write(folder / "one.yaml", first)
    headgate = start(main_file(folder))
    before = headgate.metric("headgate_config_hash")
    write(folder / "one.yaml", {"listeners": first["listeners"]})  # the same, in two files
    write(folder / "two.yaml", {"backends": first["backends"]})
    wait_until(lambda: headgate.metric("headgate_reloads_total", result="ok") >= 1, lambda: headgate.output)
    headgate.post("/reload")
    assert headgate.metric("headgate_config_hash") == before
    first["backends"]["one"]["connect_attempts"] = 3
    write(folder / "two.yaml", {"backends": first["backends"]})
    wait_until(lambda: headgate.metric("headgate_config_hash") != before, lambda: headgate.output)


def test_every_command_sees_all_files(folder, tmp_path, certificate, backend):
    write(folder / "one.yaml", service("one", backend(), certificate))
    write(folder / "two.yaml", {"backends": {"spare": {"servers": ["127.0.0.1:9"]}}})
    file = tmp_path / "headgate.yaml"
    file.write_text(file_text({**main_file(folder), "include": "conf.d"}))
    told = run(headgate_binary(), "check", file)
    assert told.returncode == 0, told
    assert f"{folder}/two.yaml:1:15: backends.spare: warning: this backend is not used" in told.stdout
    assert told.stdout.endswith(f"{file}: ok, with 2 files that it includes\n")
    shown = run(headgate_binary(), "show", file).stdout
    assert "include" not in shown
    one = tmp_path / "shown.yaml"
    one.write_text(shown)
    assert run(headgate_binary(), "show", one).stdout == shown
    assert "one, round_robin" in run(headgate_binary(), "explain", file, "--listener", "one").stdout
    by_stdin = run(headgate_binary(), "show", "-", stdin=file.read_text(), cwd=tmp_path)
    assert by_stdin.stdout == shown
    relative = run(headgate_binary(), "check", "headgate.yaml", cwd=tmp_path)
    assert "\nconf.d/two.yaml:1:15: " in "\n" + relative.stdout


def test_a_fault_of_a_named_file_is_at_the_place_where_it_is_named(folder, tmp_path, certificate, backend):
    bad = service("one", backend(), certificate)
    bad["listeners"][0]["tls"]["certificates"] = ["gone.pem"]
    write(folder / "one.yaml", bad)
    file = tmp_path / "headgate.yaml"
    file.write_text(file_text(main_file(folder)))
    told = run(headgate_binary(), "check", file)
    assert told.returncode == 1
    column = json.dumps(bad).index('"gone.pem"') + 1
    assert f"{folder}/one.yaml:1:{column}: listeners[0].tls.certificates[0].certificate: {folder}/gone.pem: " in told.stdout


@as_root
def test_a_file_that_the_later_user_may_not_read_is_warned_of_and_refuses_a_reload(backend, certificate, open_directory, open_program):
    keys = open_directory / "keys"
    keys.mkdir()
    pair = certificate._replace(certificate=keys / "a.pem", key=keys / "a.key")
    for source, file in ((certificate.certificate, pair.certificate), (certificate.key, pair.key)):
        shutil.copy(source, file)
        file.chmod(0o644)
    folder = open_directory / "conf.d"
    folder.mkdir()
    write(folder / "one.yaml", service("one", backend(greeting_then_echo(b"1")), pair))
    write(folder / "two.yaml", service("two", backend(greeting_then_echo(b"2")), pair))
    (folder / "two.yaml").chmod(0o600)
    file = open_directory / "headgate.yaml"
    config = main_file(folder, user="nobody", group=str(NOBODY))
    file.write_text(file_text(config))
    warning = f"{folder / 'two.yaml'}: \"nobody\" may not read it, so every reload and upgrade will fail"
    assert warning in run(headgate_binary(), "check", file).stdout
    headgate = Headgate(open_directory, config).wait_ready()
    try:
        assert any(warning in entry["message"] for entry in headgate.log_with(level="warn"))
        headgate.signal(signal.SIGHUP)
        wait_until(lambda: headgate.metric("headgate_reloads_total", result="failed") >= 1, lambda: headgate.output)
        assert f"{folder / 'two.yaml'}: cannot be opened: Permission denied" in headgate.status()["reload"]["faults"]
        assert greeting(headgate, "two") == b"2"
        (folder / "two.yaml").chmod(0o644)
        wait_until(lambda: headgate.metric("headgate_reloads_total", result="ok") >= 1, lambda: headgate.output)
        folder.chmod(0o700)
        headgate.post("/reload")
        (fault,) = headgate.status()["reload"]["faults"]
        assert "include[0]: " in fault and "Permission denied" in fault
    finally:
        folder.chmod(0o755)
        assert headgate.stop() == 0, headgate.output


def test_a_start_with_a_bad_file_says_where(folder, tmp_path):
    write(folder / "one.yaml", "listeners:\n  - {bind: ':1', backend: app, nmae: x}\n")
    file = Path(tmp_path / "headgate.yaml")
    file.write_text(file_text(main_file(folder)))
    told = run(headgate_binary(), "run", "--config", file)
    assert told.returncode == 1
    assert f"{folder}/one.yaml:2:32: listeners[0].nmae: unknown key" in told.stderr
    assert f"{folder}/one.yaml:2:27: listeners[0].backend: there is no backend" in told.stderr
