"""One version number: the program's, the chart's, the images' and the newest release of the changelog are the same."""

import datetime
import re

import yaml

from source_tree import ROOT, files, shown


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def version() -> str:
    return re.search(r"^project\(headgate VERSION (\d+\.\d+\.\d+) ", text("CMakeLists.txt"), re.M).group(1)


def releases() -> list[tuple[str, str]]:
    """Version and date of each release in the changelog, the newest first."""
    return re.findall(r"^## \[(\d+\.\d+\.\d+)\](?: - (.*))?$", text("CHANGELOG.md"), re.M)


def test_the_newest_release_in_the_changelog_is_the_version_that_is_built():
    assert releases()[0][0] == version()


def test_the_policy_on_security_supports_the_version_that_is_built():
    rows = dict(re.findall(r"^\| (\d+\.\d+) \| (yes|no) \|$", text("SECURITY.md"), re.M))
    newest = version().rpartition(".")[0]
    assert rows.pop(newest) == "yes" and set(rows.values()) <= {"no"}


def test_releases_come_newest_first_and_every_later_one_has_its_date():
    numbers = [tuple(map(int, number.split("."))) for number, _ in releases()]
    assert numbers == sorted(set(numbers), reverse=True)
    for number, date in releases()[:-1]:
        assert datetime.date.fromisoformat(date), number


def test_the_chart_is_of_the_version_that_is_built():
    chart = yaml.safe_load(text("deploy/helm/headgate/Chart.yaml"))
    assert (chart["version"], chart["appVersion"]) == (version(), version())
    assert str(yaml.safe_load(text("deploy/helm/headgate/values.yaml"))["image"]["tag"]) == version()


def test_images_are_named_with_the_version_that_is_built():
    found = {
        (shown(path), tag)
        for path in files(".md", ".yaml", under=ROOT / "deploy")
        for tag in re.findall(r"\bheadgate:(\d[\w.]*)", path.read_text(encoding="utf-8"))
    }
    assert found, "no image is named where this test looks"
    assert not {(path, tag) for path, tag in found if tag != version()}


def test_the_label_of_the_image_is_the_version_that_is_built():
    assert re.findall(r"^ARG VERSION=(.*)$", text("Dockerfile"), re.M) == [version()]
