"""Folders of src are layers: each may include only the layers to which CMakeLists.txt lets it link."""

import re
import subprocess

import pytest

from source_tree import BUILD, ROOT, SRC, findings, shown, sources

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^">]+)[">]')

# Where the headers of a library may be included: a folder, or a file without its suffix.
OWNERS = {
    r"openssl/": ["tls/"],
    r"ev\.h$": ["event/"],
    r"yaml-cpp/": ["config/"],
    r"prometheus/": ["metrics/exporter", "metrics/scrape"],
    r"microhttpd\.h$": ["admin/"],
    r"nlohmann/": ["admin/"],
    r"spdlog/": ["log/"],
    r"CLI/": ["cli/"],
    r"ares": ["net/resolver"],
    r"seccomp\.h$": ["supervisor/"],
    r"systemd/": ["supervisor/", "log/"],
}


def declared(text: str) -> list[tuple[str, str]]:
    """Each layer and what it links to, in the order of CMakeLists.txt."""
    return re.findall(r"^headgate_layer\((\w+) \w+(?: WITH \S+)? LINK ([^)]*)\)", text, re.M)


def layers() -> dict[str, set[str]]:
    """Each layer with those it may include, itself among them."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    reachable: dict[str, set[str]] = {}
    for name, words in reversed(declared(text)):  # what a layer links to comes after it
        reachable[name] = {name}.union(*(reachable[word] for word in words.split() if word in reachable))
    return reachable


def includes():
    for path in sources():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                yield path, number, match.group(1), match.group(2)


def test_every_folder_of_src_is_a_layer():
    folders = {path.name for path in SRC.iterdir() if path.is_dir()}
    assert folders <= set(layers()), "name the folder in CMakeLists.txt"


def test_a_layer_links_only_to_those_declared_after_it():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    seen: set[str] = set()
    names = set(layers())
    for name, words in reversed(declared(text)):
        assert set(words.split()) & names <= seen, f"{name} links to a layer that comes before it"
        seen.add(name)


def test_a_folder_includes_only_the_layers_it_links_to():
    allowed = layers()
    wrong = []
    for path, number, kind, name in includes():
        own = path.relative_to(SRC).parts[0]
        if kind == '"' and own in allowed and name.partition("/")[0] not in allowed[own]:
            wrong.append(f"{shown(path)}:{number}: {own} may not include {name}")
    assert not wrong, "\n".join(wrong)


def test_own_headers_are_named_from_src():
    wrong = [
        f"{shown(path)}:{number}: {name}"
        for path, number, kind, name in includes()
        if kind == '"' and not (SRC / name).is_file()
    ]
    assert not wrong, "\n".join(wrong)


def test_a_library_is_included_only_in_the_folder_that_owns_it():
    wrong = []
    for path, number, kind, name in includes():
        if kind != "<":
            continue
        place = path.relative_to(SRC).as_posix()
        for pattern, owners in OWNERS.items():
            if re.match(pattern, name) and not any(place.startswith(owner) for owner in owners):
                wrong.append(f"{shown(path)}:{number}: <{name}> belongs to {' and '.join(owners)}")
    assert not wrong, "\n".join(wrong)


def test_every_header_is_included_once():
    wrong = [shown(path) for path in sources() if path.suffix == ".h" and "#pragma once" not in path.read_text("utf-8")]
    assert not wrong, "\n".join(wrong)


def test_a_source_file_includes_its_own_header_first():
    wrong = []
    for path in sources():
        own = path.with_suffix(".h")
        if path.suffix != ".cc" or not own.exists():
            continue
        first = INCLUDE.search(path.read_text(encoding="utf-8")) or re.search(
            r'^#include [<"]([^">]+)', path.read_text(encoding="utf-8"), re.M
        )
        if first and first.group(first.lastindex) != own.relative_to(SRC).as_posix():
            wrong.append(f"{shown(path)}: {first.group(first.lastindex)} comes first")
    assert not wrong, "\n".join(wrong)


def test_openssls_answers_are_translated_in_one_place():
    places = {line.partition(":")[0] for line in findings(r"^[^/]*\bSSL_get_error\(", sources())}
    assert len(places) <= 1, f"SSL_get_error is called in {sorted(places)}"


def test_openssls_reasons_are_read_by_the_wrapper_around_its_calls_and_by_the_status():
    places = {line.partition(":")[0] for line in findings(r"^[^/]*\b(ERR_(get|peek)_error|fail_openssl)\(", sources())}
    allowed = {f"src/tls/library/{name}" for name in ("openssl_call.cc", "openssl_call.h", "openssl_types.h", "tls_status.cc")}
    assert places <= allowed, f"use call_openssl() in {sorted(places - allowed)}"


@pytest.mark.skipif(not (BUILD / "CMakeCache.txt").exists(), reason="nothing is built in HEADGATE_BUILD_DIR")
@pytest.mark.timeout(600)
def test_every_header_compiles_alone():
    build = subprocess.run(
        ["cmake", "--build", BUILD, "--target", "all_verify_interface_header_sets", "--parallel", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout[-6000:]
