"""A machine that stops: what the store wrote is played again up to any moment, without what was not yet synced."""

import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from kept_rows import MODEL, content, row

import unisim

STATES = int(os.environ.get("UNISIM_STATES", "200"))
SECTOR = 512  # what a disk writes whole, or not

WRITER = """
import os, sys
sys.path[:0] = [{tests!r}]
from kept_rows import MODEL, content, row
import unisim
k = 0
for opened in range(4):
    store = unisim.Store({folder!r})
    for batch in range(5):
        for _ in range(1 + 3 * batch):
            store.put(MODEL, content(k), row(k))
            store.put_score(MODEL, content(k), content(k), k + 0.5)
            k += 1
        store.commit()
        os.write(1, b"acknowledged %d" % k)
    store.put_score(MODEL, content(k), content(k), k + 0.5)  # a commit without rows
    store.commit()
    os.write(1, b"acknowledged the score %d" % k)
    k += 1
    del store
"""

CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (\d+)(?:<(.*)>)?$")


def text_of(hexadecimal):
    return bytes.fromhex(hexadecimal.replace("\\x", ""))


class Call(NamedTuple):
    """A system call that did what it was asked."""

    name: str
    path: str  # of the file it was made on
    data: bytes
    number: int  # an offset or a length
    result: int
    creating: bool


def calls_of(log):
    """In the order in which they were made."""
    unfinished = {}
    for line in log.read_text().splitlines():
        process = line.split()[0]
        if line.endswith("<unfinished ...>"):
            unfinished[process] = line.removesuffix("<unfinished ...>").rstrip()
            continue
        if "resumed>" in line:
            line = unfinished.pop(process) + line.split("resumed>", 1)[1]
        match = CALL.match(line)
        if not match:
            continue
        name, arguments, result = match[1], match[2], int(match[3])
        strings = re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments)
        path = text_of(match[4] if name == "openat" else re.search(r"<(.*?)>|$", arguments)[1] or "")
        if name == "unlink":
            path = text_of(strings[0])
        numbers = re.findall(r", (\d+)", arguments)
        data = text_of(strings[-1]) if strings and name in ("write", "pwrite64") else b""
        number = int(numbers[-1]) if numbers else 0
        yield Call(name, os.fsdecode(path), data, number, result, "O_CREAT" in arguments)


@dataclass
class File:
    """What is surely on the disk, and what was done since."""

    synced: bytearray = field(default_factory=bytearray)
    since: list = field(default_factory=list)  # (offset, data), or (length, None) for a cut

    def on_disk(self, keep):
        image = bytearray(self.synced)
        for offset, data in self.since:
            if data is None:
                if keep():
                    del image[offset:]
                    image.extend(bytes(offset - len(image)))
                continue
            for at in range(0, len(data), SECTOR):
                if keep():
                    piece, start = data[at : at + SECTOR], offset + at
                    image.extend(bytes(max(0, start - len(image))))
                    image[start : start + len(piece)] = piece
        return image

    def sync(self):
        self.synced, self.since = self.on_disk(lambda: True), []


class Disk:
    """A folder as the calls leave it: files by name, names that are surely there, and what was acknowledged."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.live, self.named, self.renamed = {}, {}, []
        self.rows, self.scores = 0, []

    def play(self, call):
        name, data = call.name, call.data
        inside, base = os.path.split(call.path)
        if name == "write" and data.startswith(b"acknowledged"):
            last = int(data.split()[-1])
            if b"score" in data:
                self.scores.append(last)
            else:
                self.rows = last
        elif call.path == self.folder and name in ("fsync", "fdatasync"):
            self.named, self.renamed = dict(self.live), []
        elif inside != self.folder or base.endswith("-shm"):  # shared memory is made anew
            return
        elif name == "openat" and call.creating and base not in self.live:
            self.live[base] = File()
            self.renamed.append((base, self.live[base]))
        elif name == "unlink":
            del self.live[base]
            self.renamed.append((base, None))
        elif name in ("pwrite64", "ftruncate"):
            self.live[base].since.append((call.number, data[: call.result] if name == "pwrite64" else None))
        elif name in ("fsync", "fdatasync"):
            self.live[base].sync()

    def left(self, keep):
        """{name: bytes} after the stop."""
        names = dict(self.named)
        for base, file in self.renamed:
            if keep():
                names[base] = file
        return {base: file.on_disk(keep) for base, file in names.items() if file is not None}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The folder that a traced process wrote, and its calls."""
    if not shutil.which("strace"):
        pytest.skip("no strace: what reaches the disk in what order is not tested")
    place = tmp_path_factory.mktemp("power")
    folder, log = place / "store", place / "log"
    program = WRITER.format(tests=os.path.dirname(__file__), folder=str(folder))
    calls = "trace=openat,pwrite64,write,fdatasync,fsync,ftruncate,unlink"
    command = ["strace", "-f", "-y", "-xx", "-s", "1000000", "-o", str(log), "-e", calls]
    ran = subprocess.run(command + [sys.executable, "-c", program], capture_output=True, check=False)
    if ran.returncode and b"ptrace" in ran.stderr.lower():
        pytest.skip("strace may not trace here: what reaches the disk in what order is not tested")
    assert ran.returncode == 0, ran.stderr.decode()
    return folder, list(calls_of(log))


KEEP = {
    "nothing unsynced": lambda chance: lambda: False,
    "all": lambda chance: lambda: True,
    "some sectors": lambda chance: lambda: chance.random() < 0.5,
    "nearly all": lambda chance: lambda: chance.random() < 0.95,
}


def test_whenever_the_machine_stops_what_was_acknowledged_is_there(played, tmp_path):
    folder, calls = played
    ends = [
        k for k, call in enumerate(calls) if call.name == "write" and call.data.startswith(b"acknowledged")
    ]
    assert len(ends) == 24
    chance = random.Random(7)
    first = next(k for k, call in enumerate(calls) if call.path.startswith(str(folder)))
    for state in range(STATES):
        # Half of the moments are those at which something was just acknowledged.
        stop = chance.choice(ends) if state % 2 else chance.randrange(first, len(calls))
        kept = list(KEEP)[state // 2 % len(KEEP)]
        disk = Disk(folder)
        for call in calls[: stop + 1]:
            disk.play(call)
        after = tmp_path / str(state)
        after.mkdir()
        for name, data in disk.left(KEEP[kept](chance)).items():
            (after / name).write_bytes(data)
        check(after, disk, f"stopped after call {stop}, kept {kept}")
        shutil.rmtree(after)


def check(after, disk, told):
    store = unisim.Store(after)
    for k in range(disk.rows + 40):
        found = store.find(MODEL, content(k))
        acknowledged = k < disk.rows and k not in disk.scores
        assert found is not None or not acknowledged, f"row {k} is lost: {told}"
        assert found is None or found.numpy().tobytes() == row(k).tobytes(), told
        score = store.find_score(MODEL, content(k), content(k))
        assert score == k + 0.5 or (score is None and k >= disk.rows and k not in disk.scores), told
    assert store.counts().damaged == 0, f"the index speaks of rows that are not there: {told}"
