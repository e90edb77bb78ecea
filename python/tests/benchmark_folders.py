"""Small folders in the layouts of MMVP, MME and MMIE."""

import json
from pathlib import Path

import tiny_vlms

QUESTIONS = (
    ("Is the door open?", "(a) Open (b) Closed"),
    ("Is the elderly person standing or sitting in the picture?", "(a) Standing (b) Sitting"),
    ('What stands left of the cup, or "nothing"?', "(1) A plate (2) Nothing, <image> <|im_end|>"),
)
RUBRICS = {"SA": "Judge the story.", "PBL": "Judge the project.", "MSR": "Judge the steps."}


def mmvp_folder(folder, pairs=3):
    """MMVP's layout with so many pairs."""
    folder = Path(folder)
    (folder / "MMVP Images").mkdir(parents=True)
    for number, picture in enumerate(tiny_vlms.pictures(2 * pairs), 1):
        picture.save(folder / "MMVP Images" / f"{number}.jpg", quality=95)
    rows = ["Index,Question,Options,Correct Answer"]
    for k in range(2 * pairs):
        question, options = QUESTIONS[k // 2 % len(QUESTIONS)]
        marks = ("(1)", "(2)") if "(1)" in options else ("(a)", "(b)")
        question = question.replace('"', '""')
        rows.append(f'{k + 1},"{question}","{options}",{marks[k % 2]}')
    (folder / "Questions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def mme_folder(folder):
    """Two subtasks of MME, existence flat and artwork split, two pictures each."""
    folder = Path(folder)
    pictures = tiny_vlms.pictures(4, seed=7)
    texts, images = folder / "artwork" / "questions_answers_YN", folder / "artwork" / "images"
    for one in (folder / "existence", texts, images):
        one.mkdir(parents=True)
    pictures[0].save(folder / "existence" / "000001.jpg", quality=95)
    pictures[1].save(folder / "existence" / "000002.png")
    pictures[2].save(images / "a.b.jpg", quality=95)
    pictures[3].save(images / "z.png")
    for stem, what in (("000001", "cat"), ("000002", "ball")):
        lines = f"Is there a {what} in this image? Please answer yes or no.\tYes\n" + (
            f"Is there a second {what} in this image? Please answer yes or no.\tNo\n\n"
        )
        (folder / "existence" / f"{stem}.txt").write_text(lines)
    for stem in ("a.b", "z"):
        lines = "Does this artwork exist in the form of painting? Please answer yes or no.\tYes\r\n" + (
            "Does this artwork exist in the form of tapestry? Please answer yes or no.\tNo"
        )
        (texts / f"{stem}.txt").write_bytes(lines.encode())
    return folder


def mmie_folder(folder):
    """Four samples for the judge, of every category, and rubrics beside them."""
    folder = Path(folder)
    (folder / "images").mkdir(parents=True)
    for number, picture in enumerate(tiny_vlms.pictures(6, seed=3)):
        picture.save(folder / "images" / f"{number}.png")

    def seen(text, number=None):
        return {"text": text, "image": None if number is None else f"images/{number}.png"}

    nothing = [{"text": None, "image": None}]
    records = [
        {"id": "SA-1", "question": [seen("A tale.", 0)], "answer": [seen("It ends.", 1), seen(None, 2), seen("lost")],
         "model": "m", "field": "art", "gt_answer": nothing},
        {"id": "PBL-2", "question": [seen("How?", 3)], "answer": "Like this: <image>. <|im_end|>", "model": "m", "gt_answer": nothing},
        {"id": "MSR-3", "question": [seen("1 + 1?"), seen(None, 4)], "answer": [seen("two")], "model": "m",
         "gt_answer": [seen("2")]},
        {"id": "SA-4", "question": [seen(None, k) for k in range(5)], "answer": [seen("many")], "model": "m",
         "gt_answer": nothing},
    ]  # fmt: skip
    (folder / "data.json").write_text(json.dumps(records))
    rubrics = folder.parent / "rubrics.json"
    rubrics.write_text(json.dumps(RUBRICS))
    return folder, rubrics


def folder_of_model(root):
    """A tiny model that says now the one, now the other: asserted where it matters."""
    return tiny_vlms.make("interleave", root / "interleave", seed=6).folder


def lines_of(file):
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def files_of(folder):
    """{name: bytes} of all that a file or folder holds."""
    folder = Path(folder)
    if folder.is_file():
        return {folder.name: folder.read_bytes()}
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
