"""The benchmark of vision-language models measures what its rows say: the same code at tiny size."""

import re
import sys

import pytest

from conftest import ROOT, test_data

sys.path.insert(0, str(ROOT / "benchmarks"))
import beside
import peers
import vlm_folder
import vlm_peers

TOKENS = 64  # of a tiny picture; two stand in a prompt


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "vlm"
    tokenizer = test_data("tokenizers/qwen3") / "tokenizer.json"
    return vlm_peers.Bench(folder, vlm_folder.write_folder(folder, vlm_folder.TINY, tokenizer), rounds=2)


def test_every_row_is_measured_and_both_sides_say_the_same():
    test_data("tokenizers/qwen3")
    lines = [beside.line_of(row, 2) for row in vlm_peers.vlm(vlm_folder.TINY, compiled=False, rounds=2)]
    narrow = [line for line in lines if "bf16" in line["work"]]
    rows = [line for line in lines if "said" not in line and line not in narrow]
    assert len(narrow) == 3 and len(rows) == 9 and len(lines) == 14
    for line in rows:
        assert line["speedup"] > 0
        if "greedy" in line["work"]:
            tokens = 3 * vlm_peers.NEW_TOKENS  # the warm-up's too
            assert line["difference"] == f"{tokens} of {tokens} tokens equal"
            continue
        apart, questions = map(
            float, re.match(r"log p (\S+) apart \(questions: (\S+)\)", line["difference"]).groups()
        )
        # Sums of float32; questions that all had one answer would compare nothing.
        assert apart < 1e-5 and questions > 1e-3, line
    for line in lines:
        beside.print_row(line)


def test_compiled_is_a_row_or_says_why_not(bench, monkeypatch, capsys):
    def refuses(model):
        def forward(**inputs):
            raise RuntimeError("no compiler\nat hand")

        return forward

    monkeypatch.setattr(vlm_peers.torch, "compile", lambda model: model)
    assert [row.peer for row in bench.new_pictures("fp32", True)][-1] == "transformers compiled"
    monkeypatch.setattr(vlm_peers.torch, "compile", refuses)
    assert len(list(bench.new_pictures("fp32", True))) == 3
    assert "skipped: no compiler\n" in capsys.readouterr().out


def computed(bench, row):
    """Tiles and rows that a second call of ours computes, and rows that it finds."""
    row.ours()
    before = bench.ours.counts
    before = before.tower_tiles, before.decoder_rows, before.prefix_rows
    row.ours()
    after = bench.ours.counts
    return tuple(
        b - a for a, b in zip(before, (after.tower_tiles, after.decoder_rows, after.prefix_rows), strict=True)
    )


def test_rows_compute_what_their_names_say(bench):
    rows = {
        row.work: row for row in (*bench.new_pictures("fp32", False), *bench.asked_again(), *bench.several())
    }
    assert all(isinstance(row, peers.Row) for row in rows.values())
    assert {work.split(",")[0].split(" of ")[0] for work in rows} == {
        "new pictures", "pictures seen before", "another question", "16 questions on one prefix", "greedy decoding",
        "both orders", "four answers",
    }  # fmt: skip
    tiles, some, found = computed(bench, rows["new pictures, fp32"])
    assert tiles == 2 and some > 2 * TOKENS and found == 0
    tiles, again, found = computed(bench, rows["pictures seen before, new prompt"])
    assert (tiles, again, found) == (0, some, 0)
    tiles, behind, found = computed(bench, rows["another question, same pictures"])
    assert tiles == 0 and 18 <= behind <= 20 and found >= 2 * TOKENS
    tiles, sixteen, found = computed(bench, rows["16 questions on one prefix, packed"])
    assert tiles == 0 and 16 * 15 <= sixteen <= 16 * 20 and found >= 2 * TOKENS
    tiles, said, _ = computed(bench, rows["greedy decoding, 32 tokens"])
    assert tiles == 0 and 18 + 31 <= said <= 20 + 31
    tiles, both, found = computed(bench, rows["both orders of a 2AFC question, new pictures"])
    assert (tiles, both, found) == (2, 2 * some, 0)
    tiles, answers, found = computed(bench, rows["four answers of three tokens, new pictures"])
    assert (tiles, answers, found) == (2, some + 4 * 2, 0)
