"""The checkout as the house rules see it: its files, and where the built binary is."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
BUILD = Path(os.environ.get("HEADGATE_BUILD_DIR", ROOT / "build"))
HEADGATE = Path(os.environ.get("HEADGATE", BUILD / "headgate"))

_SKIPPED = re.compile(r"^(\.git|build.*|__pycache__|node_modules|\.pytest_cache)$")


def files(*suffixes: str, under: Path = ROOT) -> Iterator[Path]:
    """Every file of the checkout below `under` that ends in one of `suffixes` (all files when none is given)."""
    for folder, names, entries in os.walk(under):
        names[:] = sorted(name for name in names if not _SKIPPED.match(name))
        for entry in sorted(entries):
            path = Path(folder) / entry
            if entry == ".git":  # a linked work tree has a file of that name
                continue
            if not suffixes or path.suffix in suffixes:
                yield path


def text_files() -> Iterator[Path]:
    """Every file that a person wrote as text: no certificate, no seed of a fuzz target."""
    for path in files():
        if "seeds" in path.parts or not path.is_file():
            continue
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        yield path


def shell_scripts() -> Iterator[Path]:
    for path in text_files():
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        if re.match(r"#!.*\b(ba)?sh\b", first):
            yield path


def sources() -> list[Path]:
    return list(files(".h", ".cc", under=SRC))


def shown(path: Path) -> str:
    """The path from the checkout's root; also names a test's parameter, which is no path when there is none."""
    return str(path.relative_to(ROOT)) if isinstance(path, Path) else str(path)


def findings(pattern: str, paths, flags: int = 0) -> list[str]:
    """"file:line: text" for every line of `paths` in which `pattern` is found."""
    found = re.compile(pattern, flags)
    return [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if found.search(line)
    ]
