"""Items that models are asked about, through `evaluate`: coverage, bias, what is unparsable, examples, reasons.

Tolerances as in test_asking.py.
"""

# ruff: noqa: F811  (a fixture is imported, and named by what uses it)

import hashlib

import pytest

import unisim
from asked_fixtures import shots_of, tasks, tiny  # noqa: F401
from asked_reference import LETTERS, is_unparsable, judged, reasoned, written
from tiny_tasks import pair


def evaluated_as(found, expected, abs_=1e-5):
    for item, want in zip(found.items, expected, strict=True):
        assert item.error == ""
        assert item.scores == pytest.approx(want.scores, abs=abs_)
        assert item.asked.coverage == pytest.approx(want.coverage, abs=abs_)
        assert item.asked.bias == pytest.approx(want.bias, abs=2 * abs_)


def test_coverage_and_bias_of_two_and_of_three(tiny, tasks):
    vlm, model = tiny("llava")
    pairs = [pair(f"{k}.png", f"{k + 1}.png", f"{k + 2}.png", k % 2) for k in range(4)]
    task, asked = tasks("pairs", "img-2afc", pairs)
    found = unisim.evaluate(task, unisim.by_asking(model))
    evaluated_as(found, [judged(vlm, one) for one in asked])
    assert all(item.asked.replies == [] and item.asked.unparsable is None for item in found.items)
    assert max(abs(item.asked.bias) for item in found.items) > 1e-3
    evaluated_as(
        unisim.evaluate(task, unisim.by_asking(model, swap=False)),
        [judged(vlm, o, swap=False) for o in asked],
    )
    threes = [{"candidates": [{"image": f"{k + d}.png"} for d in range(3)], "label": k % 3} for k in range(3)]
    task, asked = tasks("threes", "ooo", threes)
    evaluated_as(unisim.evaluate(task, unisim.by_asking(model)), [judged(vlm, one) for one in asked])


def test_unparsable_answers_are_counted(tiny, tasks):
    vlm, model = tiny("llava")
    counted = 0
    for question, attribute in (("img-2afc", ""), ("iqa", "quality"), ("ooo", "")):
        if question == "ooo":
            made = [
                {"candidates": [{"image": f"{k + d}.png"} for d in range(3)], "label": k % 3}
                for k in range(5)
            ]
        else:
            made = [
                pair(f"{k}.png" if not attribute else None, f"{k + 1}.png", f"{k + 2}.png", 0)
                for k in range(5)
            ]
        task, asked = tasks(question, question, made, attribute)
        found = unisim.evaluate(task, unisim.by_asking(model, mode="text"))
        for item, one in zip(found.items, asked, strict=True):
            expected = written(vlm, one)
            if expected.margin > 1e-4:
                assert item.asked.replies == expected.replies and item.scores == pytest.approx(
                    expected.scores
                )
                assert item.asked.bias == pytest.approx(expected.bias) and item.asked.coverage == 1
                assert item.asked.unparsable == sum(is_unparsable(one.question, r) for r in expected.replies)
                counted += item.asked.unparsable
    assert counted > 0


def example_hash(question, attribute, shas, texts, label):
    """An example is told by its question, its pictures and texts (a reference first) and its label."""
    said = f"item\n{question} {attribute}\n" + "".join(f"picture {sha}\n" for sha in shas)
    said += "".join(f"text {hashlib.sha256(text.encode()).hexdigest()}\n" for text in texts)
    return hashlib.sha256(f"{said}label {label}".encode()).hexdigest()


@pytest.mark.parametrize("name", ["llava", "internvl"])
def test_shots_are_solved_items_that_share_no_picture(tiny, tasks, tmp_path, name):
    vlm, model = tiny(name)
    task, asked = tasks(
        "scored", "img-2afc", [pair("0.png", "1.png", "2.png", 0), pair("3.png", "4.png", "5.png", 1)]
    )
    pool = [
        pair(f"{k}.png", f"{k + 1}.png", f"{k + 2}.png", k % 2) for k in range(3, 20)
    ]  # the first three share
    examples, solved = tasks("examples", "img-2afc", pool)
    sha = {k: hashlib.sha256((tmp_path / f"data/{k}.png").read_bytes()).hexdigest() for k in range(24)}
    places = {
        example_hash("img-2afc", "", [sha[k], sha[k + 1], sha[k + 2]], [], k % 2): k - 3 for k in range(3, 20)
    }
    drawn = {}
    for seed in (0, 1):
        metric = unisim.by_asking(model, shots=4, seed=seed)
        found = unisim.evaluate(task, metric, examples=examples)
        assert metric.name.endswith(f",shots=4,seed={seed}")
        drawn[seed] = [places[hash_] for hash_ in found.examples]
        assert [solved[place].label for place in drawn[seed]] == [0, 1, 0, 1]
        assert len(set(drawn[seed])) == 4 and min(drawn[seed]) >= 3
        before = [(*solved[k].turn([0, 1]), LETTERS[solved[k].label]) for k in drawn[seed]]
        evaluated_as(found, [judged(vlm, one, before=before) for one in asked])
        assert unisim.evaluate(task, metric, examples=examples).examples == found.examples
    assert drawn[0] != drawn[1]
    assert len(unisim.evaluate(task, unisim.by_asking(model, shots=3), examples=examples).examples) == 3
    with pytest.raises(ValueError, match="give examples"):
        unisim.evaluate(task, unisim.by_asking(model, shots=2))
    with pytest.raises(ValueError, match="only 7 with the answer A share no picture"):
        unisim.evaluate(task, unisim.by_asking(model, shots=16), examples=examples)
    other, _ = tasks("other", "iqa", [pair(None, "8.png", "9.png", 0)], "quality")
    with pytest.raises(ValueError, match="the examples are of iqa quality"):
        unisim.evaluate(task, unisim.by_asking(model, shots=2), examples=other)
    with pytest.raises(ValueError, match="shots=0"):
        given = shots_of(3)[1]
        unisim.by_asking(model, shots=2).ranking(given[0], given[1:])


@pytest.mark.parametrize("mode", ["probability", "text"])
def test_solved_items_in_front_are_computed_once_and_found_to_the_bit(tiny, tasks, mode):
    vlm, _ = tiny("llava")
    task, _ = tasks("scored", "img-2afc", [pair("0.png", "1.png", f"{k}.png", k % 2) for k in range(2, 8)])
    pool = [pair(f"{k}.png", f"{k + 1}.png", f"{k + 2}.png", k % 2) for k in range(8, 20)]
    examples, _ = tasks("examples", "img-2afc", pool)

    def evaluated(**options):
        model, rows = unisim.Vlm.load(vlm.folder, **options), []
        found = unisim.evaluate(
            task, unisim.by_asking(model, mode=mode, shots=4), examples=examples,
            progress=lambda done, total: rows.append(model.counts.decoder_rows),
        )  # fmt: skip
        return [(item.scores, item.asked.coverage, item.asked.replies) for item in found.items], rows, model

    kept, rows, model = evaluated()
    plain, all_rows, bare = evaluated(prefix_bytes=0)
    assert kept == plain and bare.counts.prefix_rows == 0 < model.counts.prefix_rows
    first = all_rows[0]
    assert rows[-1] - rows[0] < 0.7 * (all_rows[-1] - all_rows[0]) and all_rows[-1] > 3 * first
    # What was asked before, and in which order, changes no bit.
    model.choose([], "Something else.", ("A", "B"))
    again = unisim.evaluate(task, unisim.by_asking(model, mode=mode, shots=4), examples=examples)
    assert [(item.scores, item.asked.coverage, item.asked.replies) for item in again.items] == kept


def test_no_shots_change_no_bit(tiny, tasks):
    _, model = tiny("llava")
    task, _ = tasks("t", "text-2afc", [pair(f"{k}.png", ("one",), (f"{k} things",), k % 2) for k in range(3)])
    examples, _ = tasks(
        "e", "text-2afc", [pair(f"{k}.png", ("one",), (f"{k} things",), k % 2) for k in range(9, 12)]
    )
    for mode in ("probability", "text"):
        plain = unisim.evaluate(task, unisim.by_asking(model, mode=mode))
        none = unisim.evaluate(task, unisim.by_asking(model, mode=mode, shots=0, seed=7), examples=examples)
        assert plain.metric == none.metric and none.examples == [] and plain.model.sha256 == none.model.sha256
        for one, other in zip(plain.items, none.items, strict=True):
            assert (one.scores, one.asked.coverage, one.asked.bias, one.asked.replies) == (
                other.scores, other.asked.coverage, other.asked.bias, other.asked.replies)  # fmt: skip


def test_reasons_come_first_and_the_letter_behind_them(tiny, tasks):
    vlm, model = tiny("llava")
    made = [
        ("img-2afc", "", [pair("0.png", "1.png", "2.png", 0)]),
        ("text-2afc", "", [pair("4.png", ("a",), ("b",), 1)]),
    ]
    made += [
        ("paa", "contrast", [pair(None, "6.png", "7.png", 0)]),
        ("it-2afc", "", [pair(("a cup",), "8.png", "9.png", 0)]),
    ]
    made += [("ooo", "", [{"candidates": [{"image": f"{k}.png"} for k in (3, 4, 5)], "label": 0}])]
    compared = 0
    for question, attribute, of in made:
        task, asked = tasks(question, question, of, attribute)
        found = unisim.evaluate(task, unisim.by_asking(model, reason=True))
        expected = reasoned(vlm, asked[0])
        if expected.margin > 1e-4:
            assert found.items[0].asked.replies == expected.replies
            evaluated_as(found, [expected])
            compared += 1
    assert compared >= 3
