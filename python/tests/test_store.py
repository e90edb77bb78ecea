"""The store through its bindings: kill -9, and several processes in one folder."""

import hashlib
import os
import random
import signal
import struct
import subprocess
import time

import numpy as np
import pytest
import torch
from kept_rows import MODEL, content, row

import unisim


def in_child(work):
    """Forks; the child does its work and ends, without pytest's own endings."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def test_a_row_is_found_again_as_it_was_put(tmp_path):
    store = unisim.Store(tmp_path / "store")
    assert store.find(MODEL, content(1)) is None
    store.put(MODEL, content(1), row(1))
    store.put(MODEL, content(2), torch.from_numpy(row(2)))
    store.commit()
    for k in (1, 2):
        found = unisim.Store(store.folder).find(MODEL, content(k))
        assert found.dtype == torch.float32
        assert found.numpy().tobytes() == row(k).tobytes()
    counts = store.counts()
    assert (counts.rows, counts.scores, counts.written) == (2, 0, 2)
    assert (counts.found, counts.missed, counts.damaged) == (0, 1, 0)
    assert counts.bytes >= 2 * row(1).nbytes
    assert "rows=2" in repr(counts) and "store" in repr(store)
    assert not store.read_only


@pytest.mark.parametrize("score", [0.1, -0.0, float("inf"), 5e-324])
def test_a_score_is_found_again_bit_by_bit(tmp_path, score):
    store = unisim.Store(tmp_path)
    store.put_score(MODEL, content(1), content(2), score)
    store.commit()
    found = unisim.Store(tmp_path).find_score(MODEL, content(1), content(2))
    assert struct.pack("d", found) == struct.pack("d", score)
    assert store.find_score(MODEL, content(2), content(1)) is None


@pytest.mark.parametrize(
    "values, message",
    [
        (np.zeros(3), "expected a row .* float32"),
        (np.zeros((2, 3), np.float32), "expected a row"),
        (np.zeros(6, np.float32)[::2], "contiguous"),
        (np.zeros(0, np.float32), "a row has 0 numbers"),
        (np.array([1, np.nan], np.float32), "number 1 of the row is nan"),
    ],
)
def test_what_is_no_row_is_a_value_error(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        unisim.Store(tmp_path).put(MODEL, content(1), values)


def test_what_is_no_key_or_no_store_is_told_by_its_kind(tmp_path):
    store = unisim.Store(tmp_path)
    with pytest.raises(ValueError, match="the model is .short., expected a SHA-256"):
        store.find("short", content(1))
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError):
        unisim.Store(tmp_path / "file")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.sqlite").write_text("no database" * 100)
    with pytest.raises(ValueError, match="delete the folder") as error:
        unisim.Store(tmp_path / "other")
    assert error.value.filename == str(tmp_path / "other" / "index.sqlite")


def writer(folder, first, batch, acknowledge):
    """Puts rows, `batch` a commit, for ever; says after each commit how many there are."""
    store = unisim.Store(folder)
    k = first
    while True:
        for _ in range(batch):
            store.put(MODEL, content(k), row(k, WIDE))
            store.put_score(MODEL, content(k), content(k + 1), k + 0.5)
            k += 1
        store.commit()
        os.write(acknowledge, struct.pack("q", k))


# As wide as keeps a commit busy with the shard: a kill between the index and the rows must not be a rare thing.
WIDE, BATCH = 8192, 64
KILLS = int(os.environ.get("UNISIM_KILLS", "30"))


def test_kill_9_loses_no_acknowledged_row_and_makes_none_wrong(tmp_path):
    chance = random.Random(5)
    acknowledged = set()
    first = 0
    for _ in range(KILLS):
        reading, writing = os.pipe()
        child = in_child(lambda first=first, writing=writing: writer(tmp_path, first, BATCH, writing))
        os.close(writing)
        time.sleep(chance.uniform(0, 0.25))  # opening and some commits
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        said = b"".join(iter(lambda reading=reading: os.read(reading, 4096), b""))
        os.close(reading)
        ends = [end for (end,) in struct.iter_unpack("q", said)]
        last = ends[-1] if ends else first
        acknowledged |= set(range(first, last))
        check_rows(tmp_path, range(first, last), range(last, last + 2 * BATCH))
        first = last + 2 * BATCH
    assert len(acknowledged) > KILLS * BATCH / 2  # or the kills came before there was anything to lose
    store = unisim.Store(tmp_path)
    counts = store.counts()
    assert counts.rows >= len(acknowledged)
    for k in acknowledged:
        assert store.find_score(MODEL, content(k), content(k + 1)) == k + 0.5
    check_rows(tmp_path, sorted(acknowledged)[::7], [])


def check_rows(folder, there, perhaps):
    """The first are found, the others right or missing; what the index has is whole."""
    store = unisim.Store(folder)
    for k in there:
        found = store.find(MODEL, content(k))
        assert found is not None, f"row {k} was acknowledged and is lost"
        assert found.numpy().tobytes() == row(k, WIDE).tobytes()
    for k in perhaps:
        found = store.find(MODEL, content(k))
        assert found is None or found.numpy().tobytes() == row(k, WIDE).tobytes()
    assert store.counts().damaged == 0, "the index speaks of rows that are not there"


PROCESSES, ROUNDS, KEYS = 4, int(os.environ.get("UNISIM_ROUNDS", "100")), 2000


def written_by(process, k):
    """A row that tells who wrote it: it must be of one writer, from its first number to its last."""
    return np.full(257, k + process / 8, np.float32)


def rounds(folder, process):
    """Finds and puts keys that the others put too; what was once seen committed never changes."""
    chance = random.Random(process)
    store, seen = unisim.Store(folder), {}
    for _ in range(ROUNDS):
        for k in chance.sample(range(KEYS), 8):
            found = store.find(MODEL, content(k))
            if found is None:
                store.put(MODEL, content(k), written_by(process, k))
            else:
                numbers = set(found.tolist())
                assert len(found) == 257 and len(numbers) == 1 and int(min(numbers)) == k
        store.commit()
        for k in chance.sample(range(KEYS), 8):
            found = store.find(MODEL, content(k))
            if found is not None:
                assert seen.setdefault(k, found[0].item()) == found[0].item()
    assert store.counts().damaged == 0


def test_four_processes_share_one_folder(tmp_path):
    folder = tmp_path / "store"  # whoever comes first makes it
    children = [in_child(lambda p=p: rounds(folder, p)) for p in range(PROCESSES)]
    ends = [os.waitpid(child, 0)[1] for child in children]
    assert ends == [0] * PROCESSES
    store = unisim.Store(folder)
    there = [k for k in range(KEYS) if store.find(MODEL, content(k)) is not None]
    counts = store.counts()
    assert counts.rows == len(there) == counts.found
    assert counts.damaged == 0
    assert len(list(folder.glob("rows-*.f32"))) <= PROCESSES


def test_many_processes_open_a_new_folder_at_once(tmp_path):
    def one(folder):
        store = unisim.Store(folder)
        store.put(MODEL, content(os.getpid()), row(1))
        store.commit()

    for attempt in range(5):
        folder = tmp_path / str(attempt) / "deep"
        children = [in_child(lambda folder=folder: one(folder)) for _ in range(8)]
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
        assert unisim.Store(folder).counts().rows == 8


def test_the_folder_may_vanish_under_a_store(tmp_path):
    folder = tmp_path / "store"
    store = unisim.Store(folder)
    store.put(MODEL, content(1), row(1))
    store.commit()
    subprocess.run(["rm", "-r", str(folder)], check=True)
    found = store.find(MODEL, content(1))
    assert found is None or found.numpy().tobytes() == row(1).tobytes()
    store.put(MODEL, content(2), row(2))
    try:
        store.commit()
    except OSError:
        pass
    assert unisim.Store(folder).find(MODEL, content(2)) is None


def test_a_store_of_the_parent_is_refused_in_a_forked_child(tmp_path):
    store = unisim.Store(tmp_path)
    store.put(MODEL, content(1), row(1))

    def child():
        with pytest.raises(RuntimeError, match="before a fork"):
            store.commit()

    assert os.waitpid(in_child(child), 0)[1] == 0
    store.commit()
    assert unisim.Store(tmp_path).counts().rows == 1


def test_keys_are_what_hashlib_makes():
    assert content(1) == hashlib.sha256(b"content 1").hexdigest()
