"""Every configuration that a document shows passes `headgate check`, once the files that it names are there."""

import json
import re

import pytest
import yaml

from harness.example_files import provide_files
from harness.tools import TOP, headgate_binary, run

PAGES = sorted([TOP / "README.md", *TOP.glob("docs/**/*.md"), TOP / "deploy/README.md"])
# The rest of a configuration of which a page shows a part. A page may show the inside of `tls` alone, as well.
LISTENERS = 'listeners: [{name: web, bind: "127.0.0.1:8443", backend: BACKEND, tls: {certificates: [tls.pem]}}]\n'
BACKENDS = "backends: {NAME: {servers: [127.0.0.1:8080]}}\n"
PARTS_OF_TLS = {"certificates", "client_auth", "resumption"}
KEYS = PARTS_OF_TLS | set(json.loads((TOP / "config/headgate.schema.json").read_text(encoding="utf-8"))["properties"])
ENVIRONMENT = {"HTTPS_PORT": "8443", "APP_HOST": "127.0.0.1"}


def whole(text):
    """A configuration with the part in it, as text; None where the text is another program's: of a collector, of Kubernetes,
    or a template."""
    if "{{" in text:
        return None
    keys = next(yaml.safe_load_all(text))
    if not isinstance(keys, dict) or not KEYS & set(keys) or "kind" in keys:
        return None
    if PARTS_OF_TLS & set(keys):
        inside = "".join(f"      {line}\n" for line in text.splitlines())
        more = "" if "certificates" in keys else "      certificates: [tls.pem]\n"
        text = f'listeners:\n  - bind: ":8443"\n    backend: app\n    tls:\n{inside}{more}'
        keys = {"listeners": []}
    if "listeners" not in keys:
        text += LISTENERS.replace("BACKEND", next(iter(keys.get("backends", {"app": None}))))
    if "backends" not in keys:
        text += BACKENDS.replace("NAME", "app")
    return text


CONFIGURATIONS = [
    pytest.param(config, id=f"{page.relative_to(TOP)}-{number}")
    for page in PAGES
    for number, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S))
    if (config := whole(text)) is not None
]


@pytest.mark.parametrize("config", CONFIGURATIONS)
def test_a_configuration_that_a_document_shows_is_right(config, tmp_path, authority, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    config = re.sub(r"\b(user|owner): headgate\b", r"\1: nobody", config).replace("/etc/headgate/", "")
    parsed = yaml.safe_load(config)
    provide_files(parsed, tmp_path, authority)
    for name in [included] if isinstance(included := parsed.get("include", []), str) else included:
        (tmp_path / name).mkdir()
    (tmp_path / "headgate.yaml").write_text(config)
    told = run(headgate_binary(), "check", tmp_path / "headgate.yaml")
    assert told.returncode == 0, told.stdout + told.stderr


def test_there_are_configurations_to_check():
    assert len(CONFIGURATIONS) > 12
