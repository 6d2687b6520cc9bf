"""The rights of the running process: its user and group, the sandbox of every thread, its memory, its descriptors."""

import errno
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from harness.config import SANITIZED, file_text, plain_proxy, proxy
from harness.headgate import Headgate
from harness.refused_calls import can_refuse_calls, refuse_call
from harness.tls_client import TLS13, connect
from harness.tools import headgate_binary, run, tool
from harness.upgrades import Line
from harness.waiting import DEADLINE_SECONDS, wait_until

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
needs_the_sandbox = pytest.mark.skipif(SANITIZED, reason="a build with sanitizers runs without the sandbox")


def status(pid, thread=None):
    """The fields of a process or of one of its threads: "Name", "Gid" and so on."""
    file = Path(f"/proc/{pid}/task/{thread}/status" if thread else f"/proc/{pid}/status")
    return dict(line.split(":\t", 1) for line in file.read_text().splitlines() if ":\t" in line)


def shared(pair, directory, key_mode):
    """Copies of a certificate and its key in `directory`, of root's."""
    files = directory / "site.crt", directory / "site.key"
    for source, file, mode in zip((pair.certificate, pair.key), files, (0o644, key_mode), strict=True):
        shutil.copy(source, file)
        file.chmod(mode)
    return pair._replace(certificate=files[0], key=files[1])


@as_root
def test_a_numeric_user_without_an_entry_has_no_group_of_roots(start):
    headgate = start(plain_proxy("127.0.0.1:9", user="54321"))
    fields = status(headgate.child.pid)
    assert fields["Uid"].split() == ["54321"] * 4
    assert fields["Gid"].split() == ["54321"] * 4
    assert fields["Groups"].split() == []


@as_root
def test_a_process_that_is_the_user_already_keeps_its_supplementary_groups(open_directory, open_program):
    config = plain_proxy("127.0.0.1:9", user="nobody", group=str(NOBODY))
    headgate = Headgate(open_directory, config, user=NOBODY, group=NOBODY, extra_groups=[54321])
    headgate.wait_ready()
    assert status(headgate.child.pid)["Groups"].split() == ["54321"]
    assert headgate.stop() == 0


@as_root
@pytest.mark.parametrize("identity", [{"user": "root"}, {"group": "0"}], ids=str)
def test_check_warns_of_a_user_that_its_own_user_may_not_become(open_directory, open_program, identity):
    """As in a unit with `User=`, where the start would end with 3."""
    file = open_directory / "headgate.yaml"
    file.write_text(file_text(plain_proxy("127.0.0.1:9", **identity)))
    told = run(headgate_binary(), "check", file, user=NOBODY, group=NOBODY, extra_groups=[])
    (key,) = identity
    assert told.returncode == 0 and f": {key}: warning: cannot become user " in told.stdout, told
    assert "cannot become" not in run(headgate_binary(), "check", file).stdout, "root may"
    file.write_text(file_text(plain_proxy("127.0.0.1:9", user="nobody", group=str(NOBODY))))
    assert "cannot become" not in run(headgate_binary(), "check", file, user=NOBODY, group=NOBODY, extra_groups=[]).stdout


def answers(address):
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as client:
        client.sendall(b"x")
        return client.recv(1) == b"x"


@as_root
def test_ports_below_1024_survive_reloads_and_upgrades_and_no_new_one_is_bound(backend, open_directory, open_program):
    host = f"127.77.{os.getpid() // 254 % 254}.{os.getpid() % 254 + 1}"  # of this test alone
    config = plain_proxy(backend().address, listener={"bind": [f"{host}:81"]}, user="nobody", sandbox=False)
    running = Line(Headgate(open_directory, config).wait_ready())
    headgate = running.headgate
    try:
        config["listeners"][0]["bind"].append(f"{host}:82")
        headgate.write_config(config)
        code, text = headgate.post("/reload")
        assert code != 200 and f"{host}:82: Permission denied" in text, text
        del config["listeners"][0]["bind"][1]
        headgate.write_config(config)
        code, text = headgate.post("/reload")
        assert code == 200 and answers((host, 81)), text
        running.upgrade()
        assert status(running.pid)["Uid"].split() == [str(NOBODY)] * 4
        assert answers((host, 81))
    finally:
        running.end()
        assert headgate.stop() == 0


# --- files that only root can read

UNREADABLE = "may not read it, so every reload and upgrade will fail"


@as_root
def test_a_key_that_only_root_may_read_is_named_at_the_start(start, certificate, open_directory):
    pair = shared(certificate, open_directory, 0o600)
    headgate = start(proxy("127.0.0.1:9", pair, user="nobody"))
    warnings = [entry["message"] for entry in headgate.log_with(level="warn") if UNREADABLE in entry["message"]]
    assert any(text.startswith(f"{pair.key}: ") for text in warnings), headgate.output
    assert not any(str(pair.certificate) in text for text in warnings)


@as_root
def test_a_key_that_the_user_may_read_draws_no_word_and_reloads(start, certificate, open_directory):
    pair = shared(certificate, open_directory, 0o640)
    os.chown(pair.key, 0, NOBODY)
    config = proxy("127.0.0.1:9", pair, user="nobody", group=str(NOBODY))
    headgate = start(config)
    assert not [entry for entry in headgate.log_with(level="warn") if str(pair.key) in entry["message"]]


@as_root
def test_check_names_the_files_that_the_user_may_not_read(certificate, open_directory):
    pair = shared(certificate, open_directory, 0o600)
    file = open_directory / "headgate.yaml"
    file.write_text(file_text(proxy("127.0.0.1:9", pair, user="nobody")))
    file.chmod(0o644)
    told = run(headgate_binary(), "check", "--config", file)
    assert told.returncode == 0
    (line,) = [line for line in told.stdout.splitlines() if UNREADABLE in line]
    assert ": user: warning: " in line and f" {pair.key}: " in line
    os.chown(pair.key, NOBODY, 0)
    assert UNREADABLE not in run(headgate_binary(), "check", "--config", file).stdout


# --- the sandbox

EARLY_THREAD = """
#include <pthread.h>
#include <unistd.h>
static void* wait_for_ever(void* nothing) { for (;;) pause(); return nothing; }
__attribute__((constructor)) static void start(void) {
  pthread_t thread;
  pthread_create(&thread, 0, wait_for_ever, 0);
}
"""


@needs_the_sandbox
def test_every_thread_is_in_the_sandbox(start, backend, rsa_certificate):
    """Names are looked up, health is checked, RSA keys are used: all kinds of threads run."""
    port = backend().address.rsplit(":", 1)[1]
    config = proxy(
        [f"localhost:{port}"], rsa_certificate, sandbox=True, app={"health_check": {"type": "tcp", "interval": "100ms"}}
    )
    headgate = start(config)
    for _ in range(8):
        with connect(headgate.port(), version=TLS13) as client:
            client.exchange(b"served")
    threads = [status(headgate.child.pid, task) for task in os.listdir(f"/proc/{headgate.child.pid}/task")]
    names = [thread["Name"] for thread in threads]
    assert {"hg-resolver", "hg-health", "worker-0", "worker-1"} <= set(names)
    assert any(name.endswith("-rsa") for name in names)
    assert {thread["NoNewPrivs"] for thread in threads} == {"1"}
    assert {thread["Seccomp"] for thread in threads} == {"2"}


@needs_the_sandbox
def test_a_thread_that_runs_before_the_sandbox_refuses_the_start(tmp_path):
    """Landlock would not hold in such a thread, so this is the proof that it holds in all of them."""
    source, library = tmp_path / "early.c", tmp_path / "early.so"
    source.write_text(EARLY_THREAD)
    built = run(tool("cc"), "-shared", "-fPIC", "-o", library, source, "-lpthread")
    assert built.returncode == 0, built.stderr
    config = plain_proxy("127.0.0.1:9", sandbox=True)
    headgate = Headgate(tmp_path, config, env={**os.environ, "LD_PRELOAD": str(library)})
    assert headgate.wait_exit() == 3
    assert "the sandbox cannot confine the 1 threads that run before it" in headgate.output


@needs_the_sandbox
def test_the_demo_starts_in_the_sandbox_with_its_backend_in_a_process_of_its_own(tmp_path):
    headgate = Headgate(tmp_path, arguments=["demo", "--listen", "127.0.0.1:0", "--admin", "off"])
    try:
        wait_until(lambda: "Ctrl-C ends it" in headgate.output, lambda: headgate.output)
        pid = headgate.child.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) == 1
        for process in (pid, *children):
            threads = [status(process, task) for task in os.listdir(f"/proc/{process}/task")]
            assert {thread["Seccomp"] for thread in threads} == {"2"}, process
    finally:
        headgate.child.send_signal(signal.SIGINT)
        assert headgate.wait_exit() == 0
    assert not Path(f"/proc/{children[0]}").exists()


@needs_the_sandbox
@pytest.mark.skipif(not can_refuse_calls, reason="the system call's number is not known")
def test_a_kernel_without_landlock_is_named_once_and_the_other_means_hold(start, backend, certificate):
    def without_landlock():
        refuse_call("landlock_create_ruleset", errno.ENOSYS)

    headgate = start(proxy(backend().address, certificate, sandbox=True), preexec_fn=without_landlock)
    assert headgate.post("/reload")[0] == 200
    with connect(headgate.port()) as client:
        client.exchange(b"served")
    assert len([entry for entry in headgate.log_with(level="warn") if "Landlock" in str(entry)]) == 1, headgate.output
    fields = status(headgate.child.pid)
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


@needs_the_sandbox
@pytest.mark.parametrize("sandbox", [True, False])
def test_in_the_sandbox_a_reload_brings_no_directory_in_which_files_may_be_made(
    start, backend, certificate, tmp_path, sandbox
):
    config = proxy(backend().address, certificate, sandbox=sandbox)
    headgate = start(config)
    config["listeners"][0]["tls"]["keylog_file"] = str(tmp_path / "keys.log")
    headgate.write_config(config)
    code, text = headgate.post("/reload")
    assert (code == 200) != sandbox, text
    assert (tmp_path / "keys.log").exists() != sandbox
    with connect(headgate.port()) as client:
        client.exchange(b"served")


# --- memory and descriptors


def opens_memory_of(pid, user):
    """Whether a process of that user can look into the memory of process `pid`."""
    code = f"open('/proc/{pid}/mem', 'rb')"
    return subprocess.run(["/usr/bin/python3", "-c", code], user=user, stderr=subprocess.DEVNULL).returncode == 0


@as_root
@needs_the_sandbox
@pytest.mark.parametrize("sandbox", [True, False])
def test_in_the_sandbox_no_process_of_the_same_user_looks_into_its_memory(open_directory, open_program, sandbox):
    config = plain_proxy("127.0.0.1:9", sandbox=sandbox)
    headgate = Headgate(open_directory, config, user=NOBODY)
    headgate.wait_ready()
    assert opens_memory_of(headgate.child.pid, NOBODY) != sandbox
    assert headgate.stop() == 0


@needs_the_sandbox
def test_in_the_sandbox_no_core_file_is_written(start):
    headgate = start(plain_proxy("127.0.0.1:9", sandbox=True))
    limits = Path(f"/proc/{headgate.child.pid}/limits").read_text().splitlines()
    (core,) = [line.split() for line in limits if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]


def test_no_descriptor_is_left_to_a_program_that_the_process_starts(start, backend, certificate, tmp_path):
    config = proxy(backend().address, certificate, tls={"keylog_file": str(tmp_path / "keys.log")})
    config["listeners"][0]["bind"] = ["127.0.0.1:0", f"unix:{tmp_path}/web.sock"]
    headgate = start(config)
    with connect(headgate.port()) as client:
        client.exchange(b"connected")
        pid = headgate.child.pid
        left = []
        for info in Path(f"/proc/{pid}/fdinfo").iterdir():
            fields = dict(line.split(":\t", 1) for line in info.read_text().splitlines() if ":\t" in line)
            if int(info.name) > 2 and not int(fields["flags"], 8) & os.O_CLOEXEC:
                left.append((info.name, os.readlink(f"/proc/{pid}/fd/{info.name}")))
        assert left == []


# --- the file of a unix socket

FRIENDS = 54321  # a group without an entry

CLIENT = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(sys.argv[1])
except PermissionError:
    sys.exit("refused")
client.sendall(b"x")
sys.exit(None if client.recv(1) == b"x" else "not served")
"""


def may_use(path, user, groups=()):
    """Whether a process of that user and those groups is served through the socket."""
    told = subprocess.run(
        ["/usr/bin/python3", "-c", CLIENT, str(path)],
        user=user, group=user, extra_groups=list(groups), capture_output=True, text=True, timeout=DEADLINE_SECONDS,
        check=False,
    )  # fmt: skip
    assert told.returncode == 0 or told.stderr.strip() == "refused", told.stderr
    return told.returncode == 0


def facts(path):
    found = path.stat()
    return oct(found.st_mode & 0o7777), found.st_uid, found.st_gid


@as_root
def test_a_unix_socket_is_for_its_owner_and_group_after_a_reload_and_an_upgrade_too(
    backend, open_directory, open_program
):
    path = open_directory / "web.sock"
    bind = {"address": f"unix:{path}", "mode": "0660", "owner": "nobody", "group": str(FRIENDS)}
    config = plain_proxy(backend().address, listener={"bind": bind}, user="nobody", sandbox=False)
    running = Line(Headgate(open_directory, config).wait_ready())
    headgate = running.headgate
    try:
        assert facts(path) == ("0o660", NOBODY, FRIENDS)
        assert may_use(path, NOBODY) and may_use(path, 54322, [FRIENDS]) and not may_use(path, 54322)

        bind["mode"] = "0600"
        headgate.write_config(config)
        code, text = headgate.post("/reload")
        assert code == 200, text
        assert may_use(path, NOBODY) and not may_use(path, 54322, [FRIENDS])

        bind["owner"] = "root"
        headgate.write_config(config)
        code, text = headgate.post("/reload")
        assert code != 200 and f"cannot change the owner of unix:{path}" in text and "restart as root" in text
        assert facts(path) == ("0o600", NOBODY, FRIENDS)

        bind.update(owner="nobody", mode="0666")
        headgate.write_config(config)
        running.upgrade()
        assert facts(path) == ("0o666", NOBODY, FRIENDS) and may_use(path, 54322)
    finally:
        running.end()
        assert headgate.stop() == 0


@as_root
def test_a_refused_reload_leaves_the_files_of_all_unix_sockets_as_they_were(backend, open_directory, open_program):
    first, second = open_directory / "a.sock", open_directory / "b.sock"
    binds = [{"address": f"unix:{path}", "mode": "0600", "owner": "nobody"} for path in (first, second)]
    config = plain_proxy(backend().address, listener={"bind": binds}, user="nobody", sandbox=False)
    headgate = Headgate(open_directory, config).wait_ready()
    try:
        binds[0]["mode"], binds[1]["owner"] = "0666", "root"
        headgate.write_config(config)
        assert headgate.post("/reload")[0] != 200
        assert facts(first)[:2] == facts(second)[:2] == ("0o600", NOBODY)
    finally:
        assert headgate.stop() == 0


@as_root
def test_the_mode_of_a_unix_socket_holds_whatever_the_umask(start, backend, open_directory):
    path = open_directory / "web.sock"
    bind = {"address": f"unix:{path}", "mode": "0666"}
    start(plain_proxy(backend().address, listener={"bind": bind}), umask=0o077)
    assert facts(path)[0] == "0o666" and may_use(path, 54322)
