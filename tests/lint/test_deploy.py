"""What is handed to operators can be loaded by what it is written for."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from source_tree import ROOT, files, shown

DEPLOY = ROOT / "deploy"


<<<<<<< Updated upstream
def test_the_manifest_of_the_sidecar_is_one():
=======
@pytest.fixture(name="certificates", scope="session")
def _certificates(tmp_path_factory) -> Path:
    """A folder with every file that the examples name, made for the test."""
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365"]
        + ["-subj", "/CN=example.com", "-addext", "subjectAltName=DNS:example.com,DNS:*.example.com"]
        + ["-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
        check=True,
        capture_output=True,
    )
    (folder / "tls.pem").write_bytes((folder / "tls.crt").read_bytes() + (folder / "tls.key").read_bytes())
    return folder


def with_files(configuration: Path, certificates: Path, folder: Path) -> Path:
    """A copy of the configuration beside every file it names."""
    copy = folder / configuration.name
    copy.write_bytes(configuration.read_bytes())
    text = configuration.read_text(encoding="utf-8")
    for name in set(re.findall(r"([\w./-]+\.(?:crt|key|pem))\b", re.sub(r"#.*", "", text))):
        target = folder / name if not name.startswith("/") else None
        if target:
            target.parent.mkdir(parents=True, exist_ok=True)
            source = "tls.key" if name.endswith(".key") else "tls.pem" if name.endswith(".pem") else "tls.crt"
            shutil.copy(certificates / source, target)
            target.chmod(0o600)
    for name in re.findall(r"certificate_dirs: \[([\w./-]+)\]", text):
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(certificates / "tls.pem", folder / name / "tls.pem")
    return copy


@pytest.mark.skipif(not HEADGATE.exists(), reason="the binary is not built")
@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=shown)
def test_an_example_configuration_is_accepted(configuration, certificates, tmp_path):
    copy = with_files(configuration, certificates, tmp_path)
    check = subprocess.run(
        [HEADGATE, "check", "--config", copy], capture_output=True, text=True, check=False, timeout=60
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_manifest_of_the_sidecar_is_one(tmp_path):
>>>>>>> Stashed changes
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes/sidecar.yaml").read_text(encoding="utf-8")))
    assert {document["kind"] for document in documents} >= {"ConfigMap", "Deployment"}
    pod = next(d for d in documents if d["kind"] == "Deployment")["spec"]["template"]["spec"]
    sidecar = next(c for c in pod["initContainers"] if c["name"] == "headgate")
    assert sidecar["restartPolicy"] == "Always", "a native sidecar starts first and ends last"
    assert {"startupProbe", "readinessProbe", "livenessProbe", "securityContext"} <= set(sidecar)
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in sidecar["volumeMounts"]} <= volumes
    assert sidecar["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("path", sorted(files(".yaml", ".yml", under=DEPLOY)), ids=shown)
def test_yaml_files_are_yaml(path):
    if "templates" in path.parts:
        pytest.skip("a template becomes YAML when it is rendered")
    assert list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", sorted(files(".json", under=ROOT)), ids=shown)
def test_json_files_are_json(path):
    json.loads(path.read_text(encoding="utf-8"))


def test_the_chart_uses_only_values_it_declares():
    values = yaml.safe_load((DEPLOY / "helm/headgate/values.yaml").read_text(encoding="utf-8"))
    for template in files(".yaml", ".tpl", under=DEPLOY / "helm/headgate/templates"):
        for path in re.findall(r"\.Values\.([\w.]+)", template.read_text(encoding="utf-8")):
            place = values
            for key in path.split("."):
                assert isinstance(place, dict) and key in place, f"{shown(template)}: .Values.{path}"
                place = place[key]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_unit_is_accepted_by_systemd(tmp_path):
    for unit in (DEPLOY / "systemd" / name for name in ("headgate.service", "headgate.socket")):
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(re.sub(r"^(Exec\w+=)\S+", r"\1/bin/true", text, flags=re.M))
    check = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    # systemd before 253 does not know notify-reload, and the unit says what it is to use then.
    ours = [line for line in check.stderr.splitlines() if "headgate" in line and "notify-reload" not in line]
    assert not ours, "\n".join(ours)
