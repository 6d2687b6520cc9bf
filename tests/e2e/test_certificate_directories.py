"""Many certificates in a directory: each is served, and a change is served without a signal to the process."""

import contextlib
import os
import signal
import socket

import pytest

from harness.authority import Authority, replace_file
from harness.config import certificate_entry, proxy
from harness.tls_client import connect
from harness.waiting import wait_until


class Directory:
    """A directory of certificates, each in one file with its key."""

    def __init__(self, path, authority):
        self.path, self.authority = path, authority
        path.mkdir()

    def write(self, name, file=None):
        """Makes a certificate for `name` and returns it."""
        pair = self.authority.issue(name, file=f"in-{self.path.name}")
        text = pair.certificate.read_bytes() + pair.key.read_bytes()
        replace_file(self.path / f"{file or name}.pem", text, mode=0o600)
        return pair.x509

    def remove(self, name):
        (self.path / f"{name}.pem").unlink()


@pytest.fixture
def directory(tmp_path):
    return Directory(tmp_path / "many", Authority(tmp_path / "ca"))


@pytest.fixture
def serving(start, backend, certificate, directory):
    """Headgate with the certificate of the tests as default, and the directory."""
    return lambda: start(proxy(backend().address, certificate, tls={"certificate_dirs": [str(directory.path)]}))


def served(headgate, name):
    with connect(headgate.port(), sni=name) as client:
        return client.certificate()


def wait_served(headgate, name, wanted):
    wait_until(lambda: served(headgate, name) == wanted, f"{name} is served by what is in the directory now")


def test_each_is_served_to_who_asks_for_it(serving, directory):
    wanted = {name: directory.write(name) for name in (f"n{number}.many.test" for number in range(100))}
    headgate = serving()
    for name, leaf in wanted.items():
        assert served(headgate, name) == leaf
    assert headgate.metric("headgate_certificates") == len(wanted) + 1


def test_one_that_is_renewed_comes_or_goes_is_noticed(serving, directory, certificate):
    others = {name: directory.write(name) for name in ("a.test", "b.test", "c.test")}
    headgate = serving()
    wait_served(headgate, "b.test", others["b.test"])
    wait_served(headgate, "b.test", directory.write("b.test"))
    wait_served(headgate, "d.test", directory.write("d.test"))
    directory.remove("c.test")
    wait_served(headgate, "c.test", certificate.x509)
    assert served(headgate, "a.test") == others["a.test"]
    assert headgate.metric("headgate_certificates") == 4
    assert {one["names"][0] for one in headgate.status()["certificates"]} == {"app.test", "a.test", "b.test", "d.test"}


def test_a_half_written_file_is_waited_for_and_the_old_one_serves(serving, directory):
    old = directory.write("a.test")
    headgate = serving()
    new = directory.write("a.test", file="elsewhere")
    whole = (directory.path / "elsewhere.pem").read_bytes()
    directory.remove("elsewhere")
    place = directory.path / "a.test.pem"
    place.write_bytes(whole[: len(whole) // 2])
    headgate.wait_metric("headgate_file_faults_total", fault="damaged")
    assert served(headgate, "a.test") == old
    place.write_bytes(whole)
    wait_served(headgate, "a.test", new)


def test_a_key_of_its_own_that_changes_with_its_certificate(serving, directory):
    def write():
        pair = directory.authority.issue("pair.test", file="pair")
        replace_file(directory.path / "pair.key", pair.key.read_bytes(), mode=0o600)
        replace_file(directory.path / "pair.crt", pair.certificate.read_bytes())
        return pair.x509

    first = write()
    headgate = serving()
    assert served(headgate, "pair.test") == first
    wait_served(headgate, "pair.test", write())


def test_links_swapped_as_kubernetes_does(serving, directory):
    def write(version):
        mounted = directory.path / version
        mounted.mkdir()
        pair = directory.authority.issue("linked.test", file="linked")
        (mounted / "linked.pem").write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
        (directory.path / "..data_tmp").symlink_to(version)
        (directory.path / "..data_tmp").rename(directory.path / "..data")
        return pair.x509

    first = write("..1")
    (directory.path / "linked.pem").symlink_to("..data/linked.pem")
    headgate = serving()
    assert served(headgate, "linked.test") == first
    wait_served(headgate, "linked.test", write("..2"))


def test_a_reload_that_is_asked_for_looks_at_every_file(serving, directory):
    directory.write("a.test")
    headgate = serving()
    renewed = directory.write("a.test")
    headgate.signal(signal.SIGHUP)
    wait_served(headgate, "a.test", renewed)
    renewed = directory.write("a.test")
    assert headgate.post("/reload")[0] == 200
    assert served(headgate, "a.test") == renewed


def test_a_failed_reload_loses_no_change(serving, directory):
    """A change that comes with a bad configuration is served once the configuration is good again."""
    directory.write("a.test")
    headgate = serving()
    good = headgate.config_file.read_text()
    headgate.config_file.write_text(good.replace('"workers": 2', '"workers": "many"'))
    renewed = directory.write("a.test")
    headgate.wait_metric("headgate_reloads_total", result="failed")
    headgate.config_file.write_text(good)
    wait_served(headgate, "a.test", renewed)


def test_a_listed_certificate_comes_before_those_of_a_directory(start, backend, authority, directory):
    in_directory = directory.write("default.test", file="0")
    listed = authority.issue("default.test")
    config = proxy(backend().address, tls={"certificate_dirs": [str(directory.path)]})
    headgate = start(config)
    assert served(headgate, "unknown.test") == in_directory
    config["listeners"][0]["tls"]["certificates"] = [certificate_entry(listed)]
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    assert served(headgate, "default.test") == listed.x509


def test_files_of_a_directory_that_are_no_files_stop_nothing(serving, directory):
    good, many = directory.write("good.test"), directory.path
    os.mkfifo(many / "fifo.pem")
    (many / "directory.pem").mkdir()
    (many / "loop.pem").symlink_to(many / "loop.pem")
    (many / "endless.pem").symlink_to("/dev/zero")
    (many / "large.pem").write_bytes(bytes(5_000_000))
    with socket.socket(socket.AF_UNIX) as one, contextlib.chdir(many):
        one.bind("socket.pem")
    headgate = serving()
    for name in ("fifo", "directory", "loop", "endless", "large", "socket"):
        assert any(f"/{name}.pem: " in line["message"] for line in headgate.log_with(level="warn")), name
    assert served(headgate, "good.test") == good
    assert headgate.post("/reload")[0] == 200
    assert served(headgate, "good.test") == good
