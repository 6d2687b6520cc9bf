"""The Debian package: what is in it, and its life under real systemd, on a machine of the test's own."""

import filecmp
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from harness.backends import Backend, echo
from harness.config import SANITIZED
from harness.knocking import Knocking
from harness.machine import Machine
from harness.tls_client import connect
from harness.tools import TOP, headgate_binary, run, tool
from harness.waiting import wait_until

pytestmark = [
    pytest.mark.once,
    pytest.mark.slow,
    pytest.mark.skipif(SANITIZED, reason="nobody packages a build with sanitizers"),
    pytest.mark.timeout(400),
]
PORT, BACKEND_PORT = 8443, 8080
REPOSITORY = "/srv/repository"


def made(folder, **environment):
    """The package of the binary under test, without compiling."""
    build = Path(headgate_binary()).parent
    told = run(TOP / "deploy/package", "--built", build, "--out", folder, seconds=300, env={**os.environ, **environment})
    assert told.returncode == 0, told.stderr
    (package,) = (path for path in folder.glob("headgate_*.deb"))
    return package


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    return made(tmp_path_factory.mktemp("package"))


def later(package, folder, version, program=None):
    """A package of a later version, with another program where one is given."""
    content = folder / version
    assert run(tool("dpkg-deb"), "--raw-extract", package, content).returncode == 0
    control = content / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*", f"Version: {version}", control.read_text(encoding="utf-8")))
    if program:
        (content / "usr/bin/headgate").write_text(program)
    built = folder / f"headgate_{version}_amd64.deb"
    assert run(tool("dpkg-deb"), "--root-owner-group", "-Znone", "--build", content, built).returncode == 0
    return built


def test_two_builds_of_a_package_have_the_same_bytes(package, tmp_path):
    """The second one has another time zone, language and folder."""
    other = made(tmp_path / "a longer name", TZ="Pacific/Apia", LC_ALL="C", TMPDIR=str(tmp_path))
    assert other.name == package.name
    assert filecmp.cmp(package, other, shallow=False)


def test_lintian_finds_nothing(package):
    (changes,) = package.parent.glob("*.changes")
    told = run(tool("lintian"), "--allow-root", "--fail-on", "error,warning", changes, seconds=300)
    assert told.returncode == 0 and not told.stdout, told.stdout + told.stderr


def test_the_package_has_what_the_page_promises(package):
    names = run(tool("dpkg-deb"), "--contents", package).stdout
    for name in (
        "/usr/bin/headgate", "/etc/headgate/headgate.yaml", "/usr/share/man/man1/headgate.1.gz", "/usr/share/man/man5/headgate.yaml.5.gz",
        "/usr/share/bash-completion/completions/headgate", "/usr/share/zsh/vendor-completions/_headgate", "/usr/lib/sysusers.d/headgate.conf",
        "/usr/share/headgate/alerts/headgate.rules.yml", "/usr/share/headgate/grafana/headgate.json", "/usr/libexec/headgate/upgrade",
    ):  # fmt: skip
        assert re.search(rf" \.{re.escape(name)}$", names, re.M), name
    assert re.search(r"/lib/systemd/system/headgate\.service$", names, re.M)
    depends = run(tool("dpkg-deb"), "--field", package, "Depends").stdout
    assert "libssl3" in depends and "libyaml-cpp" in depends, depends


def test_the_page_about_its_parts_names_every_library_of_the_program(package):
    """The SBOM (SPDX): what is linked, and what is compiled in from headers."""
    told = run(
        TOP / "deploy/release_documents.py", "package", package, Path(headgate_binary()).parent,
        env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    names = {entry["SPDXID"]: entry["name"] for entry in document["packages"]}
    related = {
        kind: {names[one["relatedSpdxElement"]] for one in document["relationships"] if one["relationshipType"] == kind}
        for kind in ("DYNAMIC_LINK", "STATIC_LINK", "DESCRIBES")
    }
    depends = run(tool("dpkg-deb"), "--field", package, "Depends").stdout
    linked = set(re.findall(r"\b(lib[\w.+-]+)", depends))
    provided = run(tool("dpkg-query"), "--show", "--showformat=${Provides} ", *related["DYNAMIC_LINK"]).stdout
    missing = linked - related["DYNAMIC_LINK"] - set(re.findall(r"\b(lib[\w.+-]+)", provided))
    assert missing == set()
    assert {"libcli11-dev", "nlohmann-json3-dev", "libexpected-dev"} <= related["STATIC_LINK"], related
    assert related["DESCRIBES"] == {"headgate"}


@pytest.fixture
def machine():
    booted = Machine()
    yield booted
    booted.close()


class Service:
    """The service on the machine, installed by apt from a repository of its own."""

    def __init__(self, machine):
        self.machine = machine
        self.folder = machine.root / REPOSITORY.lstrip("/")
        self.folder.mkdir(parents=True)
        sources = machine.root / "etc/apt/sources.list.d"
        for file in [machine.root / "etc/apt/sources.list", *sources.iterdir()]:
            file.unlink(missing_ok=True)
        (sources / "repository.list").write_text(f"deb [trusted=yes] file:{REPOSITORY} ./\n")
        # Apt reads the repository as another user.
        self.folder.chmod(0o755)
        (machine.root / "srv").chmod(0o755)

    def offer(self, package):
        shutil.copy(package, self.folder)
        self.machine.check("sh", "-c", f"cd {REPOSITORY} && dpkg-scanpackages --multiversion . >Packages 2>/dev/null")
        self.machine.check("apt-get", "update")

    def apt(self, *words):
        return self.machine.check("apt-get", "--yes", "--quiet", "-o", "Dpkg::Use-Pty=0", *words)

    def process(self):
        return int(self.machine.check("systemctl", "show", "--property=MainPID", "--value", "headgate"))

    def state(self):
        return self.machine.run("systemctl", "is-active", "headgate").stdout.strip()

    def journal(self):
        return self.machine.run("journalctl", "--no-pager", "--unit=headgate").stdout

    def connect(self):
        with self.machine.network.entered():
            return connect(PORT, sni="localhost")


@pytest.fixture
def service(machine, package):
    with machine.network.entered():
        backend = Backend(echo, at=("127.0.0.1", BACKEND_PORT))
    service = Service(machine)
    service.offer(package)
    service.apt("install", "headgate")
    wait_until(lambda: service.state() == "active", service.journal)
    yield service
    backend.close()


def test_apt_installs_a_service_that_runs_and_removes_what_it_made(service):
    machine = service.machine
    assert machine.run("systemctl", "is-enabled", "headgate").stdout.strip() == "enabled"
    assert machine.run("systemctl", "is-enabled", "headgate.socket").stdout.strip() == "disabled"
    assert machine.check("headgate", "check", "/etc/headgate/headgate.yaml").count("fault") == 0
    secret = (machine.root / "etc/headgate/default.pem").stat()
    assert secret.st_mode & 0o777 == 0o640 and secret.st_uid == 0 and secret.st_gid != 0
    with service.connect() as client:
        client.exchange(b"through the default configuration")
        assert client.certificate().subject.rfc4514_string() == "CN=localhost"
    addresses = {line.split()[3] for line in machine.check("ss", "-Hltn").splitlines()}
    assert addresses == {"127.0.0.1:8443", "127.0.0.1:8080", "127.0.0.1:9464"}, "nobody else reaches it"

    own = machine.root / "etc/headgate/own.pem"
    own.write_text("a certificate of the administrator\n")
    service.apt("remove", "headgate")
    assert service.state() == "inactive"
    assert not list((machine.root / "etc/systemd/system").glob("*.wants/headgate*")), "it is disabled"
    assert (machine.root / "etc/headgate/headgate.yaml").exists(), "a removal keeps the configuration"

    service.apt("install", "headgate")
    wait_until(lambda: service.state() == "active", service.journal)
    assert machine.run("systemctl", "is-enabled", "headgate").stdout.strip() == "enabled"
    machine.check("systemctl", "disable", "--now", "headgate")
    service.apt("remove", "headgate")
    service.apt("install", "headgate")
    assert machine.run("systemctl", "is-enabled", "headgate").stdout.strip() == "disabled", "as the administrator had it"

    service.apt("purge", "headgate")
    assert own.exists() and sorted(path.name for path in own.parent.iterdir()) == ["own.pem"]
    own.unlink()


def test_apt_upgrades_under_live_connections(service, package, tmp_path):
    with service.connect() as moved, service.machine.network.entered(), Knocking(PORT) as knocking:
        moved.exchange(b"before")
        before = service.process()
        service.offer(later(package, tmp_path, "0.9-1"))
        told = service.apt("upgrade")
        after = service.process()
        assert after != before, told + service.journal()
        assert f"upgraded under live connections: process {after} has taken over from {before}" in told
        moved.exchange(b"after the upgrade")

        # A new OpenSSL, as the trigger tells of it.
        libssl = next((service.machine.root / "usr/lib").glob("*-linux-gnu/libssl.so.3"))
        shutil.copy(libssl, libssl.with_suffix(".new"))
        libssl.with_suffix(".new").rename(libssl)
        name = "/" + str(libssl.relative_to(service.machine.root))
        service.machine.check("dpkg-trigger", "--by-package=dpkg", name)
        told = service.machine.check("dpkg", "--triggers-only", "--pending")
        renewed = service.process()
        assert f"process {renewed} has taken over from {after}" in told, told + service.journal()
        moved.exchange(b"after the new OpenSSL")
        service.machine.check("dpkg-trigger", "--by-package=dpkg", name)
        service.machine.check("dpkg", "--triggers-only", "--pending")
        assert service.process() == renewed, "it runs what is on disk"

        # A program that does not start leaves the old process with everything, and no half configured package.
        service.offer(later(package, tmp_path, "0.9-2", program="#!/bin/sh\nexit 1\n"))
        told = service.apt("upgrade")
        assert f"the upgrade failed, and process {renewed} carries on with everything" in told, told + service.journal()
        assert service.process() == renewed and service.state() == "active"
        assert service.machine.check("dpkg-query", "--show", "--showformat=${Status}", "headgate") == "install ok installed"
        moved.exchange(b"after an upgrade that failed")

        # An administrator may forbid it.
        policy = service.machine.root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        service.offer(later(package, tmp_path, "0.9-3"))
        told = service.apt("upgrade")
        assert f"policy-rc.d forbids it: the service goes on in the old program, process {renewed}" in told, told
        assert service.process() == renewed
        policy.unlink()
        told = service.machine.check("/usr/libexec/headgate/upgrade")
        assert f"process {service.process()} has taken over from {renewed}" in told
        moved.exchange(b"after the administrator's own upgrade")
        wait_until(lambda: knocking.count > 3, "new connections are served")
        assert moved.version == "TLSv1.3"
    assert knocking.failures == []
    assert service.machine.check("systemctl", "show", "--property=NRestarts", "--value", "headgate").strip() == "0"
