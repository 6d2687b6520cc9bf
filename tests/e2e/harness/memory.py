"""The memory of another process, as root sees it."""

import re
from pathlib import Path

_CHUNK_BYTES = 1 << 24


def _writable_regions(pid):
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
        if found:
            yield int(found[1], 16), int(found[2], 16)


def count_in_memory(pid, *needles):
    """How often each of `needles` is in the writable memory of the process."""
    counts = [0] * len(needles)
    overlap = max(map(len, needles)) - 1
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end in _writable_regions(pid):
            kept = b""
            while start < end:
                memory.seek(start)
                try:
                    chunk = memory.read(min(_CHUNK_BYTES, end - start))
                except OSError:  # the region has gone meanwhile
                    break
                if not chunk:
                    break
                start += len(chunk)
                text = kept + chunk
                for i, needle in enumerate(needles):
                    # What lies within the kept part was counted with the chunk before.
                    counts[i] += text.count(needle) - (kept.count(needle) if len(kept) >= len(needle) else 0)
                kept = text[-overlap:] if overlap else b""
    return counts


def flags_around(pid, needle):
    """The flags of each region of the process's memory that has `needle` in it, as /proc/PID/smaps has them: "lo" is
    locked, "dd" is left out of core files, "wf" is wiped in a child process."""
    found = []
    smaps = Path(f"/proc/{pid}/smaps").read_text()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for region in re.finditer(r"^([0-9a-f]+)-([0-9a-f]+) rw.*?^VmFlags: ([\w ]*)$", smaps, re.M | re.S):
            start, end = int(region[1], 16), int(region[2], 16)
            memory.seek(start)
            if needle in memory.read(end - start):
                found.append(set(region[3].split()))
    return found
