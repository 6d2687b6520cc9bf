"""The fixtures every test may ask for."""

import os
import resource

import pytest

from harness.authority import Authority
from harness.backends import Backend, Deaf, Refusing, echo
from harness.config import proxy
from harness.headgate import Headgate


def pytest_collection_modifyitems(items):
    if not os.environ.get("HEADGATE_SANITIZE"):
        return
    for item in items:
        if item.get_closest_marker("memory"):
            item.add_marker(pytest.mark.skip(reason="a sanitizer multiplies the memory that this measures"))


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
