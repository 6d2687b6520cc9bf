"""Headgate accepts every configuration that the project ships."""

import shutil

import pytest
import yaml

from harness.tools import TOP, headgate_binary, run

EXAMPLES = sorted([*TOP.glob("config/*.yaml"), *TOP.glob("config/examples/**/*.yaml")])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(TOP)))
def test_every_example_passes_check_once_its_files_are_there(example, tmp_path, authority):
    copy = tmp_path / example.name
    shutil.copy(example, copy)
    provide_files(yaml.safe_load(example.read_text()), tmp_path, authority)
    told = run(headgate_binary(), "check", "--config", copy)
    assert told.returncode == 0, told.stdout + told.stderr


def provide_files(node, directory, authority):
    """Puts certificates, keys and authorities where a configuration names them."""
    if isinstance(node, list):
        for item in node:
            provide_files(item, directory, authority)
        return
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "certificates":
            entries = [{"certificate": one} if isinstance(one, str) else one for one in value]
            provide_files(entries, directory, authority)
        elif key == "certificate" and value:
            pair = authority.issue("app.test", client="verify" in node or "ca" in node)
            put_pair(directory / value, directory / node.get("private_key", value), pair)
        elif key == "ca" and value not in ("", "system"):
            shutil.copy(authority.file, directory / value)
        elif key == "crl" and value:
            shutil.copy(authority.revocation_list(), directory / value)
        elif key == "certificate_dirs":
            for folder in value:
                (directory / folder).mkdir()
                pair = authority.issue("customer.test")
                put_pair(directory / folder / "customer.crt", directory / folder / "customer.key", pair)
        else:
            provide_files(value, directory, authority)


def put_pair(certificate, key, pair):
    certificate.write_text(pair.certificate.read_text())
    with key.open("a") as out:
        out.write(pair.key.read_text())
    key.chmod(0o600)
