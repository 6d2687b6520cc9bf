"""The examples for programs that issue certificates, with their ways to write files, a real client, and a renewal."""

import pytest
import yaml

from harness.authority import Authority, replace_file
from harness.config import proxy
from harness.tools import TOP, run, tool
from harness.waiting import wait_until


class Volume:
    """A directory as the kubelet writes it: the files are links through `..data`, which is replaced at once."""

    def __init__(self, path):
        self.path, self._generation = path, 0
        path.mkdir()

    def put(self, **files):
        self._generation += 1
        folder = self.path / f"..2026_{self._generation}"
        folder.mkdir()
        before = self.path.joinpath("..data").resolve() if self._generation > 1 else None
        for name, content in files.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(content)
        link = self.path / "..data_tmp"
        link.symlink_to(folder.name)
        link.rename(self.path / "..data")
        for name in files:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")
        if before is not None:
            for file in before.iterdir():
                file.unlink()
            before.rmdir()


def serial_for(headgate, authority, name):
    """The serial number that openssl's client gets and verifies for that name."""
    told = run(
        tool("openssl"), "s_client", "-connect", f"127.0.0.1:{headgate.port()}", "-servername", name,
        "-verify_hostname", name, "-verify_return_error", "-CAfile", authority.file,
    )
    if told.returncode != 0:
        return None
    shown = run(tool("openssl"), "x509", "-noout", "-serial", stdin=told.stdout)
    return int(shown.stdout.strip().split("=")[1], 16)


def wait_served(headgate, authority, name, pair):
    wait_until(lambda: serial_for(headgate, authority, name) == pair.x509.serial_number, lambda: headgate.output)


@pytest.fixture
def authority_of_site(tmp_path):
    return Authority(tmp_path / "ca").intermediate()


@pytest.fixture
def root(authority_of_site):
    return authority_of_site._issuer


@pytest.fixture
def start_example(start, backend, tmp_path):
    """Starts Headgate with the `tls` of an example, whose files are below the configuration's directory."""

    def start_one(name):
        example = yaml.safe_load((TOP / "config/examples" / name).read_text())
        tls = example["listeners"][0]["tls"]
        for key in ("certificates", "certificate_dirs"):
            if key in tls:
                tls[key] = [str(tmp_path / path) for path in tls[key]]
        config = proxy(backend().address, tls=tls)
        config["listeners"][0]["tls"] = tls
        config["admin"].update({key: value for key, value in example.get("admin", {}).items() if key != "bind"})
        return start(config)

    return start_one


def bundle(pair):
    """The key first, as in a podCertificate."""
    return pair.key.read_bytes() + pair.certificate.read_bytes()


def test_a_pod_certificate_is_served_and_renewed(start_example, authority_of_site, root, tmp_path):
    volume = Volume(tmp_path / "volume")
    first = authority_of_site.issue("app.test")
    volume.put(**{"bundle.pem": bundle(first)})
    (tmp_path / "bundle.pem").symlink_to(volume.path / "bundle.pem")
    headgate = start_example("kubernetes-pod-certificate.yaml")
    assert serial_for(headgate, root, "app.test") == first.x509.serial_number
    renewed = authority_of_site.issue("app.test")
    volume.put(**{"bundle.pem": bundle(renewed)})
    wait_served(headgate, root, "app.test", renewed)
    assert headgate.get("/readyz")[0] == 200


def secret(pair, authority):
    return {
        "tls.crt": pair.certificate.read_bytes(),
        "tls.key": pair.key.read_bytes(),
        "ca.crt": authority.file.read_bytes(),
    }


def test_secrets_of_cert_manager_are_served_and_renewed(start_example, authority_of_site, root, tmp_path):
    volumes = {name: Volume(tmp_path / f"{name}-tls") for name in ("web", "api")}
    first = {name: authority_of_site.issue(f"{name}.test") for name in volumes}
    for name, volume in volumes.items():
        volume.put(**secret(first[name], root))
    headgate = start_example("cert-manager.yaml")
    for name in volumes:
        assert serial_for(headgate, root, f"{name}.test") == first[name].x509.serial_number
    renewed = authority_of_site.issue("api.test")
    volumes["api"].put(**secret(renewed, root))
    wait_served(headgate, root, "api.test", renewed)
    assert serial_for(headgate, root, "web.test") == first["web"].x509.serial_number
    assert headgate.metric("headgate_certificates") == 2
    assert headgate.metric("headgate_certificates_refused") == 0
    assert headgate.complaints() == []


def test_check_takes_a_secret_of_cert_manager(authority_of_site, root, tmp_path):
    from harness.tools import headgate_binary

    volume = Volume(tmp_path / "web-tls")
    volume.put(**secret(authority_of_site.issue("web.test"), root))
    config = tmp_path / "headgate.yaml"
    config.write_text(
        "listeners:\n  - {name: web, bind: '127.0.0.1:0', tls: {certificate_dirs: [web-tls]}, backend: app}\n"
        "backends: {app: {servers: '127.0.0.1:1'}}\n"
    )
    told = run(headgate_binary(), "check", "--config", config)
    assert told.returncode == 0 and "ca.crt" not in told.stdout, told.stdout


def test_the_file_of_a_vault_template_is_served_and_renewed(start_example, authority_of_site, root, tmp_path):
    first = authority_of_site.issue("app.test")
    replace_file(tmp_path / "app.pem", bundle(first), mode=0o600)
    headgate = start_example("vault-agent.yaml")
    assert serial_for(headgate, root, "app.test") == first.x509.serial_number
    renewed = authority_of_site.issue("app.test")
    replace_file(tmp_path / "app.pem", bundle(renewed), mode=0o600)
    wait_served(headgate, root, "app.test", renewed)


def test_two_vault_templates_that_come_one_after_the_other_lose_no_name(start, backend, authority_of_site, root):
    first = authority_of_site.issue("app.test", file="app")
    headgate = start(proxy(backend().address, first))
    renewed = authority_of_site.issue("app.test", file="next")
    replace_file(first.certificate, renewed.certificate.read_bytes())
    headgate.wait_metric("headgate_file_faults_total", fault="key_mismatch")
    assert serial_for(headgate, root, "app.test") == first.x509.serial_number
    replace_file(first.key, renewed.key.read_bytes(), mode=0o600)
    wait_served(headgate, root, "app.test", renewed)
