"""The fixtures every test may ask for."""

import os
import resource
import shutil
import tempfile
from pathlib import Path

import pytest

from harness.authority import Authority
from harness.backends import Backend, Deaf, Refusing, echo
from harness.config import proxy
from harness.headgate import Headgate
from harness.namespaces import make_network
from harness.tools import headgate_binary
from harness.upgrades import Line

_failed = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items):
    if not os.environ.get("HEADGATE_SANITIZE"):
        return
    for item in items:
        if item.get_closest_marker("memory"):
            item.add_marker(pytest.mark.skip(reason="a sanitizer multiplies the memory that this measures"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed


@pytest.fixture(autouse=True)
def _no_files_of_passed_tests(request):
    """Removes the test's `tmp_path` unless the test fails. Copies of a program with sanitizers would fill the disk."""
    directory = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if directory and not request.node.stash.get(_failed, False):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _many_descriptors():
    """Tests hold thousands of connections: the soft limit goes up to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """The authority that most tests trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority):
    """An ECDSA certificate for app.test, localhost and 127.0.0.1."""
    return authority.issue("app.test", "localhost", "127.0.0.1")


@pytest.fixture(scope="session")
def rsa_certificate(authority):
    """A certificate for the same names, with an RSA key."""
    return authority.issue("app.test", "localhost", "127.0.0.1", key="rsa")


@pytest.fixture
def start(tmp_path):
    """Starts Headgate with a configuration, waits until it is ready, and at the end stops it and checks its end."""
    started = []

    def start_one(config, wait=True, **options):
        directory = tmp_path / f"headgate-{len(started)}"
        directory.mkdir()
        headgate = Headgate(directory, config, **options)
        started.append(headgate)
        return headgate.wait_ready() if wait else headgate

    yield start_one
    codes = [headgate.stop() for headgate in reversed(started)]
    expected = [getattr(headgate, "expected_exit", 0) for headgate in reversed(started)]
    assert codes == expected, "\n".join(headgate.output for headgate in started)


@pytest.fixture
def line(start, tmp_path, monkeypatch):
    """Starts a copy of Headgate, which a test may replace, and ends the process that serves at the end."""
    program = tmp_path / "program" / "headgate"
    program.parent.mkdir()
    shutil.copy2(headgate_binary(), program)
    monkeypatch.setenv("HEADGATE_BINARY", str(program))
    lines = []

    def start_one(config, sandbox=False, **options):
        lines.append(Line(start({**config, "sandbox": sandbox}, **options)))
        lines[-1].program = program
        return lines[-1]

    yield start_one
    for one in lines:
        one.end()


@pytest.fixture
def open_directory():
    """A directory that every user may search, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="headgate-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def open_program(open_directory, monkeypatch):
    """Headgate is a copy that every user may start: the folder of the build may be closed to them."""
    program = open_directory / "headgate"
    shutil.copy2(headgate_binary(), program)
    monkeypatch.setenv("HEADGATE_BINARY", str(program))


@pytest.fixture
def network():
    """Clients, a router and servers in namespaces of their own. The test itself is in the router."""
    made = make_network()
    with made.router.entered():
        yield made
    made.close()


@pytest.fixture
def backend():
    """Starts a backend of a given behaviour; all are closed at the end, and their own faults fail the test."""
    started = []

    def start_one(serve=echo, **options):
        started.append(Backend(serve, **options))
        return started[-1]

    yield start_one
    for one in started:
        one.close()
    assert not [failure for one in started for failure in one.failures]


@pytest.fixture
def refusing():
    """An address that refuses connections."""
    with Refusing() as one:
        yield one.address


@pytest.fixture
def deaf():
    """An address that neither accepts nor refuses connections."""
    with Deaf() as one:
        yield one.address


@pytest.fixture(params=["auto", "openssl"])
def record_layer(request):
    """The layer that protects TLS 1.3 records after the handshake. The test runs once with each layer."""
    return request.param


@pytest.fixture
def echo_proxy(start, backend, certificate):
    """Headgate with TLS before an echo."""
    return start(proxy(backend().address, certificate))
