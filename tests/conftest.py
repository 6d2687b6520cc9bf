"""What the end-to-end and the interop tests share: the fixtures of the harness."""

pytest_plugins = ["harness.fixtures", "harness.side_by_side"]
