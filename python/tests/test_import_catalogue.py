"""The catalogue of UniSim-Bench's data sets, and what holds for every importer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_set_folders import Folder
from unisim.importers.catalogue import CATALOGUE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"

NAMES = {  # the column --data of the benchmark's table, by task
    "img-2afc": ["nights", "bapps", "pie-app-2afc"],
    "it-2afc": ["imagereward1k-pairs", "hpdv2-pairs", "agiqa3k-align-pairs", "magic_brush", "hq_edit_text_images"],
    "text-2afc": ["coco-triplets", "polaris", "hq_edit_text_2afc"],
    "iqa": ["kadid-pairs", "koniq-pairs", "pie-app-iqa", "agiqa3k-qual-pairs", "pipal"],
    "paa": [
        "sice-pairs-h", "koniq-brightness-pairs", "koniq-colorfulness-pairs", "koniq-contrast-pairs",
        "koniq-sharpness-pairs",
    ],
    "ooo": ["cifar100coarse-triplets", "h-imagenet-triplets"],
    "ir": ["roxford5k", "rparis6k"],
}  # fmt: skip


def test_the_25_data_sets_are_in_the_tables_order():
    assert list(CATALOGUE) == [name for names in NAMES.values() for name in names]
    assert len(CATALOGUE) == 25
    assert {name: one.task for name, one in CATALOGUE.items()} == {
        name: task for task, names in NAMES.items() for name in names
    }


def test_each_says_where_it_comes_from_and_what_its_options_are():
    for name, one in CATALOGUE.items():
        assert one.name == name and one.origin.startswith("http") and one.terms
        assert (one.attribute is not None) == (one.task in ("iqa", "paa"))
        if one.task == "paa":
            assert one.attribute == {"sice-pairs-h": "brightness"}.get(name, name.split("-")[1])
        for option, (default, meaning) in one.options.items():
            assert isinstance(default, str) and meaning and "\n" not in meaning, option


def test_the_page_has_every_data_set_with_its_options():
    page = PAGE.read_text(encoding="utf-8")
    assert "No real files were seen" in page
    for name, one in CATALOGUE.items():
        rows = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
        assert len(rows) == 1 and one.task in rows[0] and one.origin in rows[0] and one.terms in rows[0], name
        for option, (default, _) in one.options.items():
            assert f"`{option}={default}`" in rows[0], f"{name}: {option}={default}"


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_empty_folder_is_an_error_that_names_a_file(name, tmp_path):
    Folder(tmp_path).refused(name, str(tmp_path), (ValueError, OSError))


@pytest.mark.parametrize(
    "name, option",
    [(name, option) for name, one in CATALOGUE.items() for option in one.options if option != "images"],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(name, option, tmp_path):
    with pytest.raises(ValueError, match=rf"\[import\] option {option}\b"):
        Folder(tmp_path).content(name, **{option: "nonsense"})


def test_the_seed_of_pythons_hashes_has_no_part(tmp_path):
    """ImageReward's loader puts its prompts into a set; so might ours."""
    rows = [
        {"image_path": f"{k}.png", "prompt_id": f"p{k // 2}", "prompt": f"prompt {k // 2}", "rank": k % 2 + 1}
        for k in range(40)
    ]
    folder = Folder(tmp_path).pictures(*(row["image_path"] for row in rows))
    folder.text("metadata-validation.jsonl", "\n".join(map(json.dumps, rows))).write()
    program = (
        "import sys, json; from pathlib import Path; from unisim.importers.catalogue import CATALOGUE;"
        "from unisim.importers.data_set import chosen; one = CATALOGUE['imagereward1k-pairs'];"
        "print(json.dumps(one.make(Path(sys.argv[1]), 0, chosen(one, {})).items))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip
    assert len(found) == 1
    assert [item["reference"]["text"] for item in json.loads(found.pop())] == [
        f"prompt {k}" for k in range(20)
    ]
