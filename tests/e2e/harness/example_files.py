"""The files that a shipped configuration names, made for a test."""

import shutil

import yaml


def copy_example(example, directory, authority):
    """Copies a shipped configuration with the directory that it includes, and makes the files that they name. Returns the
    copy."""
    copy = directory / example.name
    shutil.copy(example, copy)
    config = yaml.safe_load(example.read_text())
    provide_files(config, directory, authority)
    if "include" in config:
        included = directory / config["include"]
        shutil.copytree(example.parent / config["include"], included)
        for file in included.glob("*.yaml"):
            provide_files(yaml.safe_load(file.read_text()), included, authority)
    return copy


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
            kind = "rsa" if "rsa" in value else "ecdsa"
            pair = authority.issue("app.test", key=kind, client="verify" in node or "ca" in node)
            put_pair(directory / value, directory / node.get("private_key", value), pair)
        elif key == "ca" and value not in ("", "system"):
            for name in value.values() if isinstance(value, dict) else [value]:
                shutil.copy(authority.file, directory / name)
        elif key == "crl" and value:
            shutil.copy(authority.revocation_list(), directory / value)
        elif key == "certificate_dirs":
            for name in value:
                folder = directory / name
                folder.mkdir()
                put_pair(folder / "tls.crt", folder / "tls.key", authority.issue(f"{name}.test"))
                shutil.copy(authority.file, folder / "ca.crt")
        else:
            provide_files(value, directory, authority)


def put_pair(certificate, key, pair):
    """Copies a pair into two files, or into one, and replaces what they held."""
    certificate.write_text(pair.certificate.read_text())
    with key.open("a" if key == certificate else "w") as out:
        out.write(pair.key.read_text())
    key.chmod(0o600)
