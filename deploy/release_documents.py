#!/usr/bin/python3
"""Writes what deploy/release says about its files, on stdout:

    release_documents.py package DEB BUILD_DIR       SPDX 2.3: the package, and the libraries that its program uses or holds
    release_documents.py image TAR DPKG_STATUS       SPDX 2.3: the root file system, and the Debian packages in it
    release_documents.py provenance DIR COMMIT       SLSA 1.0 in an in-toto statement: the files of DIR, and their sources

SOURCE_DATE_EPOCH is the time of all three. The first one runs where the package was built: dpkg says whose the files are.
"""

import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOOL = "headgate-deploy-release"


def output(*argv: str | Path, **options) -> str:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True, **options).stdout


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def released() -> str:
    moment = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def fields(paragraph: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w-]+): *(.*)$", paragraph, re.M))


# SPDX


def identifier(*words: str) -> str:
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", "-".join(words))


def debian_package(about: dict[str, str]) -> dict:
    """An entry for an installed Debian package; `about` has the fields of dpkg's status file."""
    name, version, arch = about["Package"], about["Version"], about["Architecture"]
    source, _, source_version = about.get("Source", name).partition(" ")
    return {
        "SPDXID": identifier("Package", name, arch),
        "name": name,
        "versionInfo": version,
        "supplier": f"Person: {about['Maintainer']}" if "Maintainer" in about else "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "sourceInfo": f"built by Debian from the source package {source} {source_version.strip('()') or version}",
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": f"pkg:deb/debian/{name.replace('+', '%2B')}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={arch}",
            }
        ],
    }


def document(file: Path, version: str, relations: list[tuple[str, dict]]) -> str:
    """A document about one file of the release; `relations` are ("DYNAMIC_LINK", package) and the like."""
    digest = sha256(file)
    subject = {
        "SPDXID": identifier("Headgate"),
        "name": "headgate",
        "packageFileName": file.name,
        "versionInfo": version,
        "supplier": "Organization: The Headgate authors",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
        "licenseConcluded": "Apache-2.0",
        "licenseDeclared": "Apache-2.0",
        "copyrightText": "2026 The Headgate authors",
    }
    relationships = [("SPDXRef-DOCUMENT", "DESCRIBES", subject)]
    relationships += [(subject["SPDXID"], kind, package) for kind, package in relations]
    whole = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": file.name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{file.name}-{digest}",
        "creationInfo": {"created": released(), "creators": ["Organization: The Headgate authors", f"Tool: {TOOL}"]},
        "packages": [subject, *(package for _, package in relations)],
        "relationships": [
            {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": package["SPDXID"]}
            for element, kind, package in relationships
        ],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def owners(paths: set[str]) -> set[str]:
    """The installed packages ("libev4:amd64") that have these files. /lib is /usr/lib, and dpkg knows a file by one name."""
    names = paths | {path.removeprefix("/usr") for path in paths} | {"/usr" + path for path in paths}
    found = subprocess.run(["dpkg-query", "--search", *sorted(names)], capture_output=True, text=True, check=False).stdout
    return {line.rpartition(": ")[0] for line in found.splitlines() if not line.startswith("diversion ")}


def about_installed(package: str) -> dict[str, str]:
    about = fields(output("dpkg-query", "--status", package))
    return {"Source": about["Package"], **about}


def source_name(about: dict[str, str]) -> str:
    return about["Source"].partition(" ")[0]


def needed_libraries(program: Path, multiarch: str) -> set[str]:
    names = re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "--dynamic", "--wide", program))
    folders = [f"/usr/lib/{multiarch}", f"/lib/{multiarch}"]
    return {os.path.realpath(f"{folder}/{name}") for name in names for folder in folders if os.path.exists(f"{folder}/{name}")}


def headers_used(build: Path) -> set[str]:
    """The system's headers that the program's objects read, which ninja has noted."""
    found, ours = set(), False
    for line in output("ninja", "-C", build, "-t", "deps").splitlines():
        if line.startswith("    "):
            if ours and line.strip().startswith("/usr/"):
                found.add(os.path.normpath(line.strip()))
        elif line:
            ours = line.startswith("CMakeFiles/")
    return found


def document_of_package(deb: Path, build: Path) -> str:
    control = fields(output("dpkg-deb", "--field", deb))
    multiarch = output("dpkg-architecture", "-a", control["Architecture"], "-q", "DEB_HOST_MULTIARCH", stderr=None).strip()
    with tempfile.TemporaryDirectory() as folder:
        output("dpkg-deb", "--extract", deb, folder)
        linked = [about_installed(owner) for owner in sorted(owners(needed_libraries(Path(folder, "usr/bin/headgate"), multiarch)))]
    sources = {source_name(about) for about in linked}
    compiled = [about_installed(owner) for owner in sorted(owners(headers_used(build)))]
    # A library with a shared object is linked already, and the system's own headers are the C library's and the kernel's.
    compiled = [about for about in compiled if source_name(about) not in {*sources, "linux", "glibc"}]
    compiled = [about for about in compiled if not re.match(r"gcc-\d+|llvm", source_name(about))]
    relations = [("DYNAMIC_LINK", debian_package(about)) for about in linked]
    return document(deb, control["Version"], relations + [("STATIC_LINK", debian_package(about)) for about in compiled])


def document_of_image(tar: Path, status: Path) -> str:
    paragraphs = [fields(text) for text in status.read_text(encoding="utf-8").split("\n\n") if text.strip()]
    version = re.search(r"-(\d[\w.]*)-", tar.name)[1]
    return document(tar, version, [("CONTAINS", debian_package(about)) for about in paragraphs])


# Provenance


def build_packages(buildinfo: Path) -> list[dict]:
    """The packages that were installed where a package was built."""
    listed = re.search(r"^Installed-Build-Depends:\n((?: .*\n)+)", buildinfo.read_text(encoding="utf-8"), re.M)[1]
    found = re.findall(r"^ (\S+?)(?::\w+)? \(= (\S+?)\),?$", listed, re.M)
    return [{"uri": f"pkg:deb/debian/{name.replace('+', '%2B')}@{version.replace('+', '%2B')}"} for name, version in found]


def provenance(folder: Path, commit: str) -> str:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".deb", ".gz", ".json", ".buildinfo"))
    buildinfos = [path for path in files if path.suffix == ".buildinfo"]
    described = [{"name": path.name, "digest": {"sha256": sha256(path)}} for path in files]
    packages = {package["uri"]: package for buildinfo in buildinfos for package in build_packages(buildinfo)}
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [one for one in described if not one["name"].endswith((".buildinfo", ".intoto.json"))],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:headgate:deploy-release:1",
                "externalParameters": {"command": "deploy/release", "released": released()},
                "internalParameters": {"signature": "none: nobody has signed this statement"},
                "resolvedDependencies": [
                    {"uri": "git+headgate", "digest": {"gitCommit": commit}},
                    *(packages[uri] for uri in sorted(packages)),
                ],
            },
            "runDetails": {
                "builder": {"id": "urn:headgate:debian-root"},
                "byproducts": [one for one in described if one["name"].endswith(".buildinfo")],
            },
        },
    }
    return json.dumps(statement, indent=2) + "\n"


if __name__ == "__main__":
    kind, place, other = sys.argv[1:]
    if kind == "package":
        sys.stdout.write(document_of_package(Path(place), Path(other)))
    elif kind == "image":
        sys.stdout.write(document_of_image(Path(place), Path(other)))
    elif kind == "provenance":
        sys.stdout.write(provenance(Path(place), other))
    else:
        raise SystemExit(f"release_documents.py: unknown document {kind}")
