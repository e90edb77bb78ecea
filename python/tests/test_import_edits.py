"""unisim import magic_brush, hq_edit_text_images and hq_edit_text_2afc."""

import pytest

from data_set_folders import Folder, images, texts


def brush(k, dataset="MagicBrush", extra=()):
    return {
        "metadata": {"dataset": dataset},
        "image": [f"MagicBrush/train/{k}-in.png", f"MagicBrush/train/{k}-out.png", *extra],
        "conversations": [{"value": "ignored"}, {"value": f"edit {k}"}],
    }


def edit(k, dataset="HQ-Edit"):
    return {
        "metadata": {"dataset": dataset},
        "image": [f"HQ-Edit/test/{k}-in.png", f"HQ-Edit/test/{k}-out.png"],
        "input": f"before {k}",
        "output": f"after {k}",
    }


MAGIC = [
    brush(0),
    brush(1, "MagicBrush-Diff"),
    brush(2),
    brush(3, extra=["MagicBrush/train/3.png"]),
    brush(4),
]
EDITS = [edit(0), edit(1, "HQ-Edit-Diff"), edit(2)]

# Drawn with a generator written apart from the library's.
MAGICBRUSH = [1, 0, 0]  # of seed 1
HQEDIT = [1, 0, 0, 1]


@pytest.fixture
def magic(tmp_path):
    made = Folder(tmp_path / "data").json("MagicBrush/test.json", MAGIC)
    return made.pictures(*(f"MagicBrush/test/{k}-{end}.png" for k in (0, 2, 4) for end in ("in", "out")))


@pytest.fixture
def hq(tmp_path):
    made = Folder(tmp_path / "data").json("HQ-Edit/test.json", EDITS)
    return made.pictures(*(f"HQ-Edit/test/{k}-{end}.png" for k in (0, 2) for end in ("in", "out")))


def test_the_edited_picture_is_what_the_instruction_asks_for(magic):
    items = magic.items("magic_brush", seed=1)
    found = [
        (i["reference"], i["candidates"][i["label"]]["image"], i["candidates"][1 - i["label"]]["image"])
        for i in items
    ]
    # 1 describes differences, 3 has three pictures; train in the paths is replaced by test.
    assert found == [
        ({"text": f"edit {k}"}, f"MagicBrush/test/{k}-out.png", f"MagicBrush/test/{k}-in.png")
        for k in (0, 2, 4)
    ]
    assert [item["label"] for item in items] == MAGICBRUSH


def test_each_record_of_hq_edit_gives_two_items_by_turns(hq):
    assert hq.items("hq_edit_text_images") == [
        {
            "reference": {"text": f"{words} {k}"},
            "candidates": images(f"HQ-Edit/test/{k}-in.png", f"HQ-Edit/test/{k}-out.png"),
            "label": label,
        }
        for k in (0, 2)
        for label, words in ((0, "before"), (1, "after"))
    ]
    assert hq.items("hq_edit_text_2afc") == [
        {
            "reference": {"image": f"HQ-Edit/test/{k}-{end}.png"},
            "candidates": texts(f"before {k}", f"after {k}"),
            "label": label,
        }
        for k in (0, 2)
        for label, end in ((0, "in"), (1, "out"))
    ]


def test_options_cut_the_list_and_turn_candidates(hq):
    plain = hq.items("hq_edit_text_images")
    assert hq.items("hq_edit_text_images", limit="3") == plain[:3]
    turned = hq.items("hq_edit_text_images", order="random")
    assert [a["label"] ^ b["label"] for a, b in zip(plain, turned, strict=True)] == HQEDIT
    for a, b in zip(plain, turned, strict=True):
        assert a["reference"] == b["reference"]
        assert a["candidates"][a["label"]] == b["candidates"][b["label"]]


def test_the_data_sets_own_folder_is_taken_too(magic, hq, tmp_path):
    for folder, name, outer in (
        (magic, "magic_brush", "MagicBrush/"),
        (hq, "hq_edit_text_images", "HQ-Edit/"),
    ):
        inner = Folder(tmp_path / outer)
        inner.files = {path.removeprefix(outer): content for path, content in folder.files.items()}
        found = [[one["image"] for one in item["candidates"]] for item in inner.items(name)]
        plain = [[one["image"] for one in item["candidates"]] for item in folder.items(name)]
        assert found == [[path.removeprefix(outer) for path in pair] for pair in plain]


@pytest.mark.parametrize("name", ["magic_brush", "hq_edit_text_images", "hq_edit_text_2afc"])
def test_the_same_bytes_whatever_the_order_of_the_files(magic, hq, tmp_path, name):
    (magic if name == "magic_brush" else hq).assert_same_bytes(name, tmp_path)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"metadata": {}}, "there is no metadata.dataset"),
        ({"metadata": []}, "there is no metadata.dataset"),
        ({"image": ["MagicBrush/train/2-in.png"]}, "less than two pictures"),
        ({"image": ["2-in.png", "2-out.png"]}, "expected FOLDER/SPLIT/NAME"),
        ({"image": ["../train/2-in.png", "MagicBrush/train/2-out.png"]}, "leads out"),
        ({"image": ["MagicBrush/train/2-in.png", "MagicBrush/train/9-out.png"]}, "9-out.png"),
        ({"conversations": [{"value": "one alone"}]}, "there is no conversations[1].value"),
        ({"conversations": [{}, {"value": None}]}, "conversations[1].value: found None"),
    ],
)
def test_a_bad_record_of_magic_brush_is_refused_by_number(magic, change, words):
    magic.json("MagicBrush/test.json", [MAGIC[0], {**MAGIC[2], **change}])
    magic.refused("magic_brush", ["test.json, record 2", words], (ValueError, OSError))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"image": ["HQ-Edit/test/2-in.png"]}, "found 1 pictures, expected two"),
        ({"image": ["/HQ-Edit/test/2-in.png", "HQ-Edit/test/2-out.png"]}, "leads out"),
        ({"image": {"a": 1}}, "image: found {'a': 1}, expected a list"),
        ({"input": " "}, "input: found an empty text"),
        ({"output": None}, "output: found None, expected a text"),
    ],
)
def test_a_bad_record_of_hq_edit_is_refused_by_number(hq, change, words):
    hq.json("HQ-Edit/test.json", [EDITS[0], {**EDITS[2], **change}])
    hq.refused("hq_edit_text_2afc", ["test.json, record 2", words])


def test_no_list_at_all_is_named(magic):
    magic.files = {}
    (magic.root).mkdir()
    magic.refused("magic_brush", ["test.json", "MagicBrush/"], OSError)
