"""unisim import roxford5k and rparis6k."""

import io
import os
import pickle

import numpy
import pytest
from PIL import Image

from data_set_folders import Folder, picture_bytes
from unisim.plain_png import png

TRUTH = {
    "imlist": ["all_souls_000001", "all_souls_000002", "ashmolean_000003", "bodleian_000004"],
    "qimlist": ["all_souls_000013", "ashmolean_000007"],
    "gnd": [
        {"easy": [0], "hard": [3, 1], "junk": [], "bbx": [1.0, 2.0, 4.0, 7.0]},
        {
            "easy": numpy.array([], numpy.float64),
            "hard": numpy.array([2]),
            "junk": [numpy.int64(1)],
            "bbx": [0, 0, 9, 9],
        },
    ],
}
ITEMS = [
    {"reference": {"image": "jpg/all_souls_000013.jpg"}, "easy": [0], "hard": [3, 1], "junk": []},
    {"reference": {"image": "jpg/ashmolean_000007.jpg"}, "easy": [], "hard": [2], "junk": [1]},
]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "roxford5k")
    made.files["gnd_roxford5k.pkl"] = pickle.dumps(TRUTH, 2)
    made.pictures(*(f"jpg/{stem}.jpg" for stem in TRUTH["imlist"] + TRUTH["qimlist"]))
    made.files["jpg/all_souls_000013.jpg"] = picture_bytes("query", "JPEG", (8, 8))  # its box lies inside
    return made


def test_queries_name_places_in_the_database(folder):
    content = folder.content("roxford5k")
    assert content.items == ITEMS
    assert content.database == [f"jpg/{stem}.jpg" for stem in TRUTH["imlist"]]
    assert content.made == {}


def test_the_other_data_set_and_the_outer_folders_are_taken_too(folder, tmp_path):
    other = Folder(tmp_path / "data")
    outer = "retrieval/revisitop/rparis6k/"
    other.files = {outer + path.replace("roxford5k", "rparis6k"): file for path, file in folder.files.items()}
    content = other.content("rparis6k")
    assert content.name == content.rule == "rparis6k" and content.items[0]["reference"] == {
        "image": outer + "jpg/all_souls_000013.jpg"
    }


def test_the_query_can_be_cut_to_its_box(folder):
    pixels = numpy.zeros((8, 6, 3), numpy.uint8)
    pixels[2:7, 1:4] = 200
    folder.files["jpg/all_souls_000013.jpg"] = png(pixels)  # Pillow looks at what it is, not at its name
    content = folder.content("roxford5k", query="crop")
    assert [item["reference"]["image"] for item in content.items] == ["query/000.png", "query/001.png"]
    with Image.open(io.BytesIO(content.made["query/000.png"])) as picture:
        assert picture.size == (3, 5) and numpy.asarray(picture).min() == 200
    with Image.open(io.BytesIO(content.made["query/001.png"])) as picture:
        assert picture.size == (2, 2)  # the box is larger than the picture


@pytest.mark.parametrize("query", ["whole", "crop"])
def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path, query):
    folder.assert_same_bytes("roxford5k", tmp_path, query=query)


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_hostile_ground_truth_is_refused_and_nothing_runs(folder, tmp_path):
    for gnd in (
        Hostile(tmp_path / "ran"),
        [{"easy": [Hostile(tmp_path / "ran")], "hard": [], "junk": []}] * 2,
    ):
        folder.files["gnd_roxford5k.pkl"] = pickle.dumps({**TRUTH, "gnd": gnd})
        folder.refused("roxford5k", ["gnd_roxford5k.pkl", "it names posix.system"])
        assert not (tmp_path / "ran").exists()


def answers(**more):
    return {"gnd": [{**TRUTH["gnd"][0], **more}, TRUTH["gnd"][1]]}


@pytest.mark.parametrize(
    "change, words",
    [
        ({"imlist": []}, "imlist: found []"),
        ({"imlist": [1]}, "imlist: found [1]"),
        ({"imlist": ["../x"]}, "leads out"),
        ({"imlist": ["nowhere"]}, "gnd_roxford5k.pkl, imlist[0] names it"),
        ({"qimlist": ["all_souls_000013"]}, "expected a list of 1"),
        ({"gnd": None}, "gnd: found None"),
        ({"gnd": [1, 2]}, "gnd[0]: found 1, expected a dict"),
        (answers(easy=[4]), "gnd[0], easy: found 4, expected a place from 0 to 3"),
        (answers(easy=[-1]), "easy: found -1"),
        (answers(easy=[True]), "easy: found True"),
        (answers(hard=[1.0]), "hard: found 1.0"),
        (answers(hard=numpy.array([1.0])), "hard: found array([1.])"),
        (answers(junk=None), "junk: found None"),
        (answers(junk=[2, 2]), "junk: a place is there twice"),
    ],
)
def test_a_ground_truth_that_is_none_is_refused(folder, change, words):
    folder.files["gnd_roxford5k.pkl"] = pickle.dumps({**TRUTH, **change})
    folder.refused("roxford5k", ["gnd_roxford5k.pkl", words], (ValueError, OSError))


@pytest.mark.parametrize(
    "box", [None, [1, 2, 3], [5, 5, 4, 6], [0, 0, float("nan"), 1], [90, 90, 99, 99], "abcd"]
)
def test_a_box_that_is_none_is_refused_where_it_is_needed(folder, box):
    folder.files["gnd_roxford5k.pkl"] = pickle.dumps({**TRUTH, **answers(bbx=box)})
    assert folder.items("roxford5k") == ITEMS
    folder.refused("roxford5k", ["gnd[0]", "bbx"], query="crop")


def test_a_list_where_a_dict_belongs_and_no_file_are_refused(folder):
    folder.files["gnd_roxford5k.pkl"] = pickle.dumps([1])
    folder.refused("roxford5k", "found [1], expected a dict")
    folder.refused("rparis6k", "gnd_rparis6k.pkl", OSError)
