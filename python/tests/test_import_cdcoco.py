"""unisim import coco-triplets."""

import pytest

from data_set_folders import Folder

SCORES = """Image_URL,max_score,OFA,GIT,Our,ExpNet-v2,BLIP-2,ViT-GPT2
http://images.cocodataset.org/val2014/COCO_val2014_000000000001.jpg,5,0,5,2,0,5,1
http://images.cocodataset.org/val2014/COCO_val2014_000000000002.jpg,2,0,2,2,0,1,1
http://images.cocodataset.org/val2014/COCO_val2014_000000000003.jpg,3,1,1,3,2,1,0
http://images.cocodataset.org/val2014/COCO_val2014_000000000004.jpg,4,1,1,4,2,1,1
"""
CAPTIONS = """fname,OFA_Huge,GIT_Large,Ensemble,ExpansionNet_v2,BLIP_2,ViT_GPT2
COCO_val2014_000000000003.jpg,ofa3,git3,our3,exp3,blip3,vit3
COCO_val2014_000000000001.jpg,ofa1,git1,our1,exp1,blip1,vit1
COCO_val2014_000000000002.jpg,ofa2,git2,our2,exp2,blip2,vit2
COCO_val2014_000000000004.jpg,ofa4,git4,our4,exp4,blip4,vit4
"""
IMAGE = "val2014/COCO_val2014_00000000000{}.jpg"

# Drawn with a generator written apart from the library's.
CDCOCO = [(["blip1", "ofa1"], 0), (["blip1", "exp1"], 0), (["vit3", "our3"], 1)]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "coco-triplets")
    made.text("resources/expert_worker_results_extended.csv", SCORES)
    made.text("resources/all_captions_extended.csv", CAPTIONS)
    return made.pictures(*(IMAGE.format(k) for k in (1, 2, 3, 4)))


def rows(items):
    return [
        (
            i["reference"]["image"],
            i["candidates"][1 - i["label"]]["text"],
            i["candidates"][i["label"]]["text"],
        )
        for i in items
    ]


def test_each_caption_scored_zero_beside_one_of_the_best(folder):
    items = folder.items("coco-triplets")
    found = rows(items)
    # Picture 2 has no score of 3, picture 4 no caption of 0.
    assert [row[:2] for row in found] == [
        (IMAGE.format(1), "ofa1"),
        (IMAGE.format(1), "exp1"),
        (IMAGE.format(3), "vit3"),
    ]
    assert found[0][2] in ("git1", "blip1") and found[1][2] in ("git1", "blip1") and found[2][2] == "our3"
    assert [([one["text"] for one in item["candidates"]], item["label"]) for item in items] == CDCOCO
    drawn = [row for seed in range(8) for row in rows(folder.items("coco-triplets", seed=seed))]
    assert {row[2] for row in drawn if row[1] == "ofa1"} == {"git1", "blip1"}


def test_options_move_the_threshold_and_the_pictures(folder):
    assert len(folder.items("coco-triplets", least="2")) == 5
    folder.files = {
        path.replace("val2014/", "coco/val/", 1): content for path, content in folder.files.items()
    }
    assert folder.items("coco-triplets", images="coco/val")[0]["reference"]["image"].startswith(
        "coco/val/COCO_"
    )


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("coco-triplets", tmp_path)


@pytest.mark.parametrize(
    "file, old, new, words",
    [
        ("expert_worker_results_extended", "ViT-GPT2", "ViT", ["line 1", "no column 'ViT-GPT2'"]),
        ("expert_worker_results_extended", ",5,0,5", ",x,0,5", ["line 2", "max_score", "'x'"]),
        ("expert_worker_results_extended", ",5,0,5", ",5,,5", ["line 2", "OFA", "''"]),
        (
            "expert_worker_results_extended",
            ",5,0,5",
            ",6,0,5",
            ["line 2", "max_score", "found 6", "no captioner"],
        ),
        ("expert_worker_results_extended", "0001.jpg", "0009.jpg", ["line 2", "0009.jpg"]),
        ("all_captions_extended", "fname", "name", ["line 1", "no column 'fname'"]),
        ("all_captions_extended", "exp1", "", ["line 3", "ExpansionNet_v2", "empty"]),
        ("all_captions_extended", "0004.jpg", "0001.jpg", ["line 5", "twice"]),
    ],
)
def test_a_bad_table_is_refused_with_its_line(folder, file, old, new, words):
    path = f"resources/{file}.csv"
    folder.text(path, folder.files[path].decode().replace(old, new, 1))
    folder.refused("coco-triplets", words)


def test_a_picture_that_is_not_there_is_named_with_its_row(folder):
    del folder.files[IMAGE.format(3)]
    folder.refused("coco-triplets", ["000000000003.jpg", "line 4 names it"], OSError)
