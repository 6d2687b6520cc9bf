"""Pods as the chart and the manifest for Kubernetes describe them: their volumes, user, groups, arguments and ports, without Kubernetes.

Each pod is a network and a mount name space. Its Secret is laid out as the kubelet does it: root's files of mode 0440 with the pod's
fsGroup, behind links that are swapped at once.
"""

import contextlib
import http.client
import os
import shutil
import socket

import pytest
import yaml
from harness import chart
from harness.backends import Backend, echo
from harness.headgate import Headgate
from harness.servers import short_directory
from harness.tls_client import python_context
from harness.tools import TOP, headgate_binary, run, tool
from harness.two_machines import Machine, can_be_made
from harness.waiting import DEADLINE_SECONDS, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # the first test builds the engine of the templates; Go 1.24 then compiles its own library, too
    pytest.mark.skipif(not can_be_made(), reason="needs root and name spaces"),
]
HOSTS = "127.0.0.1 localhost app app.shop.svc.cluster.local\n::1 localhost\n"
CHART_THAT_INCLUDES_IT = TOP / "deploy/kubernetes/chart-with-sidecar"


class Pod:
    """One pod of the objects of a chart, with `certificate` in its Secret."""

    def __init__(self, objects, authority, exits, monkeypatch):
        self.template, self.container = chart.pod_of(objects)["spec"], chart.container_of(objects)
        self.config = yaml.safe_load(chart.configuration(objects))
        self.authority, self.exits = authority, exits
        self.group = self.template["securityContext"]["fsGroup"]
        self.directory = short_directory()
        exits.callback(shutil.rmtree, self.directory, ignore_errors=True)
        (self.directory / "etc/ssl").mkdir(parents=True)
        for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ssl/openssl.cnf"):
            shutil.copy(f"/etc/{name}", self.directory / "etc" / name)
        (self.directory / "etc/hosts").write_text(HOSTS)
        (self.directory / "run").mkdir()
        volumes = {volume["name"]: volume for volume in self.template["volumes"]}
        for mount in self.container["volumeMounts"]:
            folder = self.inside(mount["mountPath"])
            folder.mkdir(parents=True)
            self.fill(folder, volumes[mount["name"]], objects)
        self.machine = Machine(
            f"mount --bind {self.directory}/etc /etc; mount --bind {self.directory}/run /run; {tool('ip')} link set lo up"
        )
        exits.callback(self.machine.close)
        assert self.machine.said == "ready\n", self.machine.said
        self.serve()
        self.program = self.directory / "headgate"
        shutil.copy2(headgate_binary(), self.program)
        monkeypatch.setenv("HEADGATE_BINARY", str(self.directory / "start"))
        self.enter_with(f"--groups={self.group}")

    def inside(self, path):
        """Where a path of the pod is for the test."""
        return self.directory / path.removeprefix("/")

    def enter_with(self, groups):
        """Headgate starts as the container's user, with these groups beside its own, and with no rights."""
        rights = self.container["securityContext"]
        argv = [
            *self.machine.entrance, tool("setpriv"), f"--reuid={rights['runAsUser']}", f"--regid={rights['runAsGroup']}", groups,
            "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs", self.program,
        ]  # fmt: skip
        script = self.directory / "start"
        script.write_text(f'#!/bin/bash\nexec {" ".join(map(str, argv))} "$@"\n')
        script.chmod(0o755)

    def fill(self, folder, volume, objects):
        if "configMap" in volume:
            (config,) = [one for one in objects if one["kind"] == "ConfigMap"]
            assert config["metadata"]["name"] == volume["configMap"]["name"]
            self.publish(folder, config["data"], 0o644)
        elif "secret" in volume:
            self.secret, self.secret_mode = folder, volume["secret"]["defaultMode"]
            self.renew()
        else:
            folder.chmod(0o777)

    def publish(self, folder, files, mode):
        """Replaces the files of a volume as the kubelet does: a new directory, to which one link leads from then on."""
        fresh = folder / f"..{len(list(folder.iterdir()))}"
        fresh.mkdir()
        for name, text in files.items():
            file = fresh / name
            file.write_text(text)
            os.chown(file, 0, self.group)
            file.chmod(mode)
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
        link = folder / "..data.new"
        link.symlink_to(fresh.name)
        link.rename(folder / "..data")

    def renew(self):
        """Puts a new certificate into the Secret; returns its serial number."""
        pair = self.authority.issue("app.test")
        files = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": self.authority.file}
        self.publish(self.secret, {name: path.read_text() for name, path in files.items()}, self.secret_mode)
        return pair.x509.serial_number

    def serve(self):
        """The application: an echo where the configuration looks for it."""
        for backend in self.config["backends"].values():
            for server in backend["servers"]:
                if server.startswith("unix:"):
                    path = self.inside(server.removeprefix("unix:"))
                    application = Backend(echo, path=path)
                    path.chmod(0o777)
                else:
                    at = ("127.0.0.1", int(server.rpartition(":")[2]))
                    application = self.machine.call(Backend, echo, at=at)
                self.exits.callback(application.close)

    def start(self):
        """Starts Headgate with the arguments of the container, and waits as the startup probe does."""
        headgate = Headgate(self.directory, arguments=self.container["args"])
        self.exits.callback(headgate.stop)
        wait_until(
            lambda: self.probe("startupProbe") == 200 or headgate.child.poll() is not None, lambda: f"not ready:\n{headgate.output}"
        )
        assert headgate.child.poll() is None, headgate.output
        return headgate

    def asked(self, port, path):
        connection = http.client.HTTPConnection("127.0.0.1", timeout=DEADLINE_SECONDS)
        connection.sock = self.machine.connect("127.0.0.1", port)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def probe(self, name):
        """The status that a probe of the container gets, or None."""
        asked = self.container[name]["httpGet"]
        with contextlib.suppress(OSError):
            return self.asked(asked["port"], asked["path"])[0]

    def client(self, port, certificate=None):
        """A TLS connection that verified Headgate's certificate."""
        plain = self.machine.connect("127.0.0.1", port)
        return python_context(self.authority.file, certificate=certificate).wrap_socket(plain, server_hostname="app.test")


def objects_of(name):
    if name == "manifest":
        return chart.parsed((TOP / "deploy/kubernetes/sidecar.yaml").read_text())
    if name == "included":
        return chart.rendered(chart=CHART_THAT_INCLUDES_IT)
    # A pod accepts for some seconds more when it is told to stop; the test does not wait for that.
    return chart.rendered({**yaml.safe_load(chart.values_files()[name].read_text()), "acceptSeconds": 0})


@pytest.fixture
def pod(authority, monkeypatch):
    with contextlib.ExitStack() as exits:
        yield lambda name: Pod(objects_of(name), authority, exits, monkeypatch)


def service_port(name):
    services = [one for one in objects_of(name) if one["kind"] == "Service" and "metrics" not in one["metadata"]["name"]]
    return services[0]["spec"]["ports"][0]["targetPort"]


def serial(client):
    return int(client.getpeercert()["serialNumber"], 16)


@pytest.mark.parametrize("name", ["manifest", "included", "deployment", "sidecar"])
def test_a_client_is_served_where_the_service_leads_and_a_renewed_secret_is_taken_up(pod, name):
    one = pod(name)
    headgate = one.start()
    with one.client(service_port(name)) as client:
        client.sendall(b"through the pod")
        assert client.recv(100) == b"through the pod"
        renewed = one.renew()
        headgate.wait_log(message="reloaded")
        with one.client(service_port(name)) as other:
            assert serial(other) == renewed
        client.sendall(b"still")
        assert client.recv(100) == b"still"
    assert one.probe("readinessProbe") == one.probe("livenessProbe") == 200
    metrics_port = one.container["ports"][1]["containerPort"]
    assert 'headgate_handshakes_total{listener="web"' in one.asked(metrics_port, "/metrics")[1]
    assert one.asked(metrics_port, "/status.json")[0] == 404
    assert headgate.stop() == 0


def test_a_sidecar_with_client_certificates_serves_those_it_allows_from_a_unix_socket(pod, authority):
    one = pod("mtls-sidecar")
    one.start()
    port = service_port("mtls-sidecar")
    friend = authority.issue(client=True, uris=["spiffe://prod/ns/web/frontend"])
    with one.client(port, friend) as client:
        client.sendall(b"by the socket")
        assert client.recv(100) == b"by the socket"
    stranger = authority.issue(client=True, uris=["spiffe://prod/ns/other/frontend"])
    with pytest.raises(OSError), one.client(port, stranger) as client:
        client.sendall(b"x")
        assert client.recv(1) == b""
        raise ConnectionResetError


def test_without_the_groups_of_the_pod_the_secret_cannot_be_read(pod):
    """So the tests above show that `fsGroup` and `defaultMode` let the container's user read it: this pod has a group of its own."""
    one = pod("included")
    assert one.group != one.container["securityContext"]["runAsGroup"]
    one.enter_with("--clear-groups")
    told = run(headgate_binary(), "check", "--config", one.container["args"][-1])
    assert told.returncode == 1 and "/etc/headgate/certificate/tls.key" in told.stdout + told.stderr
    assert "ermission" in told.stdout + told.stderr, told


def test_the_status_page_is_on_the_loopback_address_of_the_pod_alone(pod):
    one = pod("sidecar")
    one.start()
    assert one.asked(9464, "/status.json")[0] == 200
    with pytest.raises(OSError):
        one.machine.call(socket.create_connection, ("::1", 9464), timeout=DEADLINE_SECONDS)
