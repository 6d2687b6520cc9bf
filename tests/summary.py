"""Adds up JUnit files of ctest and pytest: names what failed and closes with "N passed, N failed, N skipped".

A file whose name begins with "second-" has the tests that were tried once more: what it says counts. Exit status 1 when
a test failed or none ran.
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path


def outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    if case.find("skipped") is not None or case.get("status") in ("disabled", "notrun"):
        return "skipped"
    return "passed"


def outcomes(paths: list[str]) -> dict[tuple[str, ...], str]:
    return {
        (Path(path).name.removeprefix("second-"), case.get("classname", ""), case.get("name", "")): outcome(case)
        for path in paths
        for case in ElementTree.parse(path).iter("testcase")
    }


def main(paths: list[str]) -> int:
    second = [path for path in paths if Path(path).name.startswith("second-")]
    results = outcomes([path for path in paths if path not in second])
    for (file, classname, name), result in outcomes(second).items():
        if result == "passed":
            print(f"passed at the second try only: {classname}: {name}")
        results[file, classname, name] = result
    for (_, classname, name), result in results.items():
        if result == "failed":
            print(f"FAILED {classname}: {name}")
    counts = Counter(results.values())
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
