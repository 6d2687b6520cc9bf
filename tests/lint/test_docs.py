"""Documents describe the sources as they are."""

import re

import pytest

from source_tree import ROOT, files, shown

DOCUMENTS = sorted(files(".md"))
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def anchors(text: str) -> set[str]:
    """The anchors that a Markdown page gets for its headings."""
    headings = re.findall(r"^#+\s+(.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_links_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    broken = []
    for target in (a or b for a, b in LINK.findall(without_code(text))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        page = (document.parent / path).resolve() if path else document
        if not page.exists():
            broken.append(f"{target}: no such file")
        elif anchor and page.suffix == ".md" and anchor not in anchors(page.read_text(encoding="utf-8")):
            broken.append(f"{target}: no such heading")
    assert not broken, "\n".join(broken)


def test_the_list_of_pages_has_every_page():
    folder = ROOT / "docs"
    text = (folder / "README.md").read_text(encoding="utf-8")
    linked = {(folder / target.partition("#")[0]).resolve() for target, _ in LINK.findall(text)}
    listed = {path for path in folder.glob("*.md") if path.name != "README.md"}
    listed |= {path for path in folder.glob("*/README.md")}
    assert not sorted(shown(path) for path in listed - linked)


def test_the_tests_that_the_page_on_security_names_are_there():
    """`test_a_sentence` and `test_file.py` of pytest, `Suite.Sentence` and `Suite.*` of GoogleTest."""
    tests = "\n".join(path.read_text(encoding="utf-8") for path in files(".py", ".cc") if "tests" in path.parts)
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)`", text), re.findall(r"`([A-Z]\w+)\.([A-Z][a-z]+[A-Z]\w+)`", text)
    missing = [name for name in named[0] if f"def {name}(" not in tests]
    missing += [f"{suite}.{name}" for suite, name in named[1] if not re.search(rf"TEST\w*\(\s*{suite},\s*{name}\)", tests)]
    missing += [suite for suite in re.findall(r"`([A-Z]\w+)\.\*`", text) if not re.search(rf"TEST\w*\(\s*{suite},", tests)]
    files_named = {name for name in re.findall(r"\b(test_\w+\.py)`", text)}
    missing += sorted(files_named - {path.name for path in files(".py")})
    assert named[0] and named[1] and not missing, "\n".join(missing)


def test_each_row_of_the_page_on_security_names_a_test():
    """A row may say that there is none."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\|[^\n]*\| test \|\n\|[ -|]+\|\n((?:\|.*\n)+)", text, re.M)
    rows = [row for table in tables for row in table.splitlines()]
    last_cells = [row.rstrip("| ").rpartition("|")[2].strip() for row in rows]
    unnamed = [cell for cell in last_cells if cell != "none" and not re.search(r"`(?:tests/\w+/)?(?:test_|[A-Z]\w+\.)", cell)]
    assert len(rows) > 50 and not unnamed, "\n".join(unnamed)


FOLDERS = r"(?:src|tests|docs|config|deploy|bench|cmake|\.ci|\.githooks)"
LAYERS = "|".join(sorted(path.name for path in (ROOT / "src").iterdir() if path.is_dir()))


def is_there(path: str) -> bool:
    """Whether a path from the checkout's root or from src is there; a file of src may be named without its suffix."""
    return any(
        any(top.glob(path + suffix)) for top in (ROOT, ROOT / "src") for suffix in ("", ".h", ".cc")
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_files_that_documents_name_are_there(document):
    """`src/base/units.h`, `tests/unit/` and, without src, `tls/record/record_layer`."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    named = re.findall(rf"`((?:{FOLDERS}|{LAYERS})/[\w./*-]*)`", text)
    missing = sorted({path for path in named if not is_there(path.rstrip("/"))})
    assert not missing, "\n".join(missing)


def test_every_metric_is_described():
    table = (ROOT / "src/metrics/metrics.cc").read_text(encoding="utf-8")
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    names = set(re.findall(r'"((?:headgate|process)_[a-z0-9_]+)"', table))
    assert names, "the table of metrics is not where this test looks"
    assert not {name for name in names if name not in page}


def metrics_of_the_program():
    """{name: its labels}, out of the table of metrics."""
    table = (ROOT / "src/metrics/metrics.cc").read_text(encoding="utf-8")
    rows = re.findall(r'\{\s*"((?:headgate|process)_\w+)",\s*k\w+,\s*"(?:[^"\\]|\\.)*",\s*\{([^}]*)\},', table)
    return {name: re.findall(r'"(\w+)"', labels) for name, labels in rows}


def test_the_metrics_that_documents_name_exist():
    """Also by the beginning of a name, as a pattern has it, and as a part of a histogram."""
    metrics = set(metrics_of_the_program())
    names = metrics | {f"{name}{part}" for name in metrics for part in ("_bucket", "_sum", "_count")}
    unknown = []
    for document in DOCUMENTS:
        text = "" if document.name == "CHANGELOG.md" else document.read_text(encoding="utf-8")
        for name in re.findall(r"\bheadgate_[a-z][a-z0-9_]+", text):
            if name not in names and not (name.endswith("_") and any(one.startswith(name) for one in names)):
                unknown.append(f"{shown(document)}: {name}")
    assert not unknown, "\n".join(unknown)


def test_metrics_are_described_with_their_labels_and_no_others():
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `((?:headgate|process)_\w+)` \|([^|]*)\|", page, re.M)
    described = {name: re.findall(r"\w+", re.sub(r"\([^)]*\)", "", labels)) for name, labels in rows}
    assert described == metrics_of_the_program()


def test_a_histogram_is_called_one():
    table = (ROOT / "src/metrics/metrics.cc").read_text(encoding="utf-8")
    kinds = dict(re.findall(r'\{\s*"((?:headgate|process)_\w+)",\s*k(\w+),', table))
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    said = {name: "histogram" in meaning for name, meaning in re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|", page, re.M) if name in kinds}
    assert said == {name: kind == "Histogram" for name, kind in kinds.items()}
    assert not [name for name, kind in kinds.items() if (kind == "Counter") != name.endswith("_total")]


def test_the_fields_of_the_line_about_a_connections_end_are_described():
    source = (ROOT / "src/connection/access_log.cc").read_text(encoding="utf-8")
    line = source[source.index("Fields fields_of") : source.index("void write_phase_line")]
    written = set(re.findall(r'fields\.(?:text|number)\("(\w+)"', line))
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    table = page[page.index("| field | is |") :].partition("\n\n")[0]
    described = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert described == written


def test_every_end_of_a_connection_is_described():
    source = (ROOT / "src/base/close_reason.cc").read_text(encoding="utf-8")
    rows = re.findall(r'\{"(\w+)", Side::k(\w+), k(Quiet|Failure)\}', source)
    assert rows, "the table of ends is not where this test looks"
    kinds = {"Quiet": "ordinary", "Failure": "failure"}
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    table = page[page.index("| reason | side | kind | cause |") :].partition("\n\n")[0]
    described = [tuple(cell.strip(" `") for cell in row.split("|")[1:4]) for row in table.splitlines()[2:]]
    assert described == [(word, side.lower(), kinds[kind]) for word, side, kind in rows]


def test_the_keys_that_need_a_restart_are_described():
    source = (ROOT / "src/supervisor/start_keys.cc").read_text(encoding="utf-8")
    keys = re.findall(r'keys\.emplace_back\("([\w.]+)"\)', source)
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    sentence = re.search(r"Some keys are read only at the start: (.*?)\.\s+A reload", page, re.S)
    assert keys and re.findall(r"`([\w.]+)`", sentence[1]) == keys


def test_the_lines_of_the_log_that_runbooks_look_for_are_written():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files(".cc", ".h", under=ROOT / "src"))
    looked_for = set()
    for document in DOCUMENTS:
        for pattern in re.findall(r"journalctl -u headgate.*\| grep (?:-\w+ )?'([^']+)'", document.read_text(encoding="utf-8")):
            each = re.sub(r"(\w+)\(([^)]*)\)", lambda found: "|".join(found[1] + end for end in found[2].split("|")), pattern)
            looked_for |= set(each.split("|"))
    assert len(looked_for) > 5 and not sorted(words for words in looked_for if words not in sources)
