"""Six made tasks through the command line, each item against a direct script over transformers; kills; what is kept."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

import tiny_vlms
import unisim
from asked_reference import Asked, judged, place_said, talkative, written
from command_line import own_world, run  # noqa: F401
from tiny_tasks import pair, pictures
from tiny_tasks import written as task_written

NAMES = [f"{k}.png" for k in range(8)]
ITEMS = 4


def name(k, step=0):
    """`step` further on; each time round the names steps are one longer, so that no two items are alike."""
    return NAMES[(k + (step + k // len(NAMES) if step else 0)) % len(NAMES)]


def items_of(question, count=ITEMS):
    """(items, attribute) of a small task; the label of each is a guess."""
    numbers, label = range(count), [(0, 1, 1, 0)[k % 4] for k in range(count)]
    if question == "img-2afc":
        return [pair(name(k), name(k, 1), name(k, 2), label[k], group="xy"[k % 2]) for k in numbers], ""
    if question == "it-2afc":
        return [pair((f"a <b> picture of {k}",), name(k), name(k, 1), label[k]) for k in numbers], ""
    if question == "text-2afc":
        return [pair(name(k), ("one",), (f"{k} things",), label[k]) for k in numbers], ""
    if question == "ooo":
        return [
            {"candidates": [{"image": name(k, step)} for step in range(3)], "label": k % 3} for k in numbers
        ], ""
    attribute = {"iqa": "quality", "paa": "brightness"}[question]
    return [pair(None, name(k), name(k, 2), label[k]) for k in numbers], attribute


QUESTIONS = ("img-2afc", "it-2afc", "text-2afc", "iqa", "paa", "ooo")


@pytest.fixture(scope="module")
def vlm(tmp_path_factory):
    return talkative(tiny_vlms.make("llava", tmp_path_factory.mktemp("asked") / "tiny"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("data"), NAMES)


def made_task(folder, data, question, count=ITEMS):
    items, attribute = items_of(question, count)
    return task_written(
        folder / question, data, question, items, **({"attribute": attribute} if attribute else {})
    )


def as_asked(data, question):
    """The items as the reference has them."""
    items, attribute = items_of(question)

    def opened(operand):
        return Image.open(data / operand["image"]) if "image" in operand else operand["text"]

    return [
        Asked(
            attribute or question, [opened(o) for o in item["candidates"]],
            opened(item["reference"]) if "reference" in item else None, item["label"],
        )
        for item in items
    ]  # fmt: skip


def pictures_of(question):
    """Names of all that the items show."""
    shown = [o for item in items_of(question)[0] for o in [item["reference"], *item["candidates"]]]
    return {operand["image"] for operand in shown}


def best(scores):
    return max(range(len(scores)), key=lambda k: (scores[k], -k))


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_modes_decide_as_a_direct_script_does(tmp_path, data, vlm, own_world, run, question):  # noqa: F811
    task, out, page = made_task(tmp_path, data, question), tmp_path / "r.json", tmp_path / "r.html"
    metrics = [f"vlm:{vlm.folder}", f"vlm:{vlm.folder},mode=text"]
    code, stdout, stderr = run(
        "evaluate", task, "--data", data, "--metric", metrics[0], "--metric", metrics[1], "-o", out,
        "--report", page, "--store", tmp_path / "store", "--json",
    )  # fmt: skip
    assert code == 0, stderr
    probability, text = json.loads(out.read_bytes())["results"]
    assert [probability["metric"], text["metric"]] == metrics
    compared = 0
    for asked, by_share, by_text in zip(
        as_asked(data, question), probability["items"], text["items"], strict=True
    ):
        expected = judged(vlm, asked)
        assert by_share["scores"] == pytest.approx(expected.scores, abs=1e-5)
        assert by_share["coverage"] == pytest.approx(expected.coverage, abs=1e-5)
        assert by_share["bias"] == pytest.approx(expected.bias, abs=2e-5)
        first, second = sorted(expected.scores)[:-3:-1]
        if first - second > 1e-5:
            assert by_share["chosen"] == best(expected.scores)
            assert by_share["right"] == (by_share["chosen"] == asked.label)
        said = written(vlm, asked)
        if said.margin > 1e-4:
            compared += 1
            assert by_text["replies"] == said.replies and by_text["scores"] == pytest.approx(said.scores)
            assert by_text["chosen"] == best(by_text["scores"]) and by_text["coverage"] == 1
            assert [place_said(asked.question, r) for r in by_text["replies"]] == [
                place_said(asked.question, r) for r in said.replies
            ]
    assert compared >= ITEMS - 1
    shown = json.loads(stdout)["results"]
    assert shown[0]["coverage"] == sum(i["coverage"] for i in probability["items"]) / ITEMS
    assert shown[0]["unparsable"] is None and 0 <= shown[1]["unparsable"] <= 1
    page_tells_what_was_said(page.read_text(), probability, text)


def page_tells_what_was_said(html, probability, text):
    assert "What the model said" in html and f"{100 * probability['coverage']:.3g} %" in html
    assert f"{text['bias']:+.3f}" in html and f"{100 * text['unparsable']:.1f} %" in html
    body = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    wrong = [item for item in probability["items"] if not item["right"]]
    assert body.count("coverage ") >= len(wrong)
    assert body.count('class="reply"') == sum(len(i["replies"]) for i in text["items"] if not i["right"])


def test_a_page_escapes_what_a_model_says(tmp_path, data, vlm):
    from unisim import evaluation_report, results

    task = unisim.Task.load(made_task(tmp_path, data, "img-2afc"), data)
    result = results.result_of(task, unisim.evaluate(task, unisim.metric(f"vlm:{vlm.folder},mode=text")))
    for item in result["items"]:
        item |= {"right": False, "chosen": 1 - task[0].label, "replies": ["<script>alert(1)</script>", "  "]}
    html = evaluation_report.page([task], [result | {"examples": ["ab" * 32]}])
    assert "<script>alert(1)" not in html and "&lt;script&gt;alert(1)" in html
    assert "(nothing)" in html and "ab" * 32 in html and "1 solved item" in html


def command(task, data, vlm, store, folder, *metrics):
    named = [part for metric in metrics for part in ("--metric", metric)]
    return [sys.executable, "-m", "unisim", "evaluate", *map(str, task), "--data", str(data), *named, "--store",
            str(store), "-o", str(folder / "r.json"), "--report", str(folder / "r.html"), "--json"]  # fmt: skip


def rows_in(store):
    return unisim.Store(store).counts().rows if (store / "index.sqlite").exists() else 0


def test_killed_at_random_moments_it_ends_in_the_same_bytes(tmp_path, data, vlm, own_world):  # noqa: F811
    tasks = [made_task(tmp_path, data, question, 24) for question in ("img-2afc", "text-2afc", "ooo")]
    metrics = [f"vlm:{vlm.folder}", f"vlm:{vlm.folder},mode=text", f"vlm:{vlm.folder},reason=yes"]
    calm, hit, store, rows = tmp_path / "calm", tmp_path / "hit", tmp_path / "kept", 9 * 24
    calm.mkdir(), hit.mkdir()
    done = command(tasks, data, vlm, tmp_path / "other", calm, *metrics)
    subprocess.run(done, check=True, capture_output=True)
    moments, kills, kept = random.Random(6), 0, 0
    while kills < 6 and kept < rows // 2:  # far enough from the end that the next may be hit before it
        child = subprocess.Popen(command(tasks, data, vlm, store, hit, *metrics), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)  # fmt: skip
        while child.poll() is None and rows_in(store) <= kept:  # it has stored something new
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        child.wait()
        kills, kept = kills + 1, rows_in(store)
    assert 0 < kept < rows and not (hit / "r.json").exists()
    last = subprocess.run(
        command(tasks, data, vlm, store, hit, *metrics), check=True, capture_output=True, text=True
    )
    found = sum(int(number) for number in re.findall(r"(\d+) found in the store", last.stderr))
    assert found == kept
    for made in ("r.json", "r.html"):
        assert (hit / made).read_bytes() == (calm / made).read_bytes()


def test_a_second_task_on_the_same_pictures_never_runs_the_tower(tmp_path, data, vlm):
    model = unisim.Vlm.load(vlm.folder)
    metric = unisim.by_asking(model)
    tasks = [unisim.Task.load(made_task(tmp_path, data, question), data) for question in QUESTIONS]
    unisim.evaluate(tasks[0], metric)
    seen = len(pictures_of("img-2afc"))  # each once, in whatever places it stood
    assert model.counts.tower_tiles == seen
    rows = model.counts.decoder_rows
    for task in tasks[1:]:
        found = unisim.evaluate(task, metric)
        assert found.computed == ITEMS and all(item.error == "" for item in found.items)
    assert model.counts.tower_tiles == seen and model.counts.features_found > 0
    assert model.counts.decoder_rows > rows
    fresh = unisim.evaluate(tasks[3], unisim.by_asking(unisim.Vlm.load(vlm.folder)))
    again = unisim.evaluate(tasks[3], metric)  # rows found again are the rows computed, to the bit
    assert [item.scores for item in fresh.items] == [item.scores for item in again.items]


def test_metrics_of_one_model_load_it_once(tmp_path, data, vlm, own_world, run, monkeypatch):  # noqa: F811
    """And the tower runs once a picture."""
    task, loaded, load = made_task(tmp_path, data, "img-2afc"), [], unisim.Vlm.load

    def recording(*arguments, **options):
        loaded.append(load(*arguments, **options))
        return loaded[-1]

    monkeypatch.setattr(unisim.Vlm, "load", staticmethod(recording))
    metrics = [f"vlm:{vlm.folder}", f"vlm:{vlm.folder},mode=text", f"vlm:{vlm.folder}/../tiny,swap=no"]
    named = [part for metric in metrics for part in ("--metric", metric)]
    code, stdout, stderr = run("evaluate", task, "--data", data, *named, "--no-store", "--json")
    assert code == 0, stderr
    assert [one["metric"] for one in json.loads(stdout)["results"]] == metrics
    (model,) = loaded
    # Of one tile each.
    assert model.counts.tower_tiles == len(pictures_of("img-2afc")) and model.counts.features_found > 0


def test_a_metric_of_a_loaded_model_is_that_of_its_folder(tmp_path, data, vlm):
    model, name = unisim.Vlm.load(vlm.folder), f"vlm:{vlm.folder},mode=text"
    shared, alone = unisim.metric(name, vlm=model, swap=False), unisim.metric(name, swap=False)
    assert shared.name == alone.name and shared.model.sha256 == alone.model.sha256
    assert shared.model.sha256 != unisim.metric(f"vlm:{vlm.folder}", vlm=model).model.sha256
    for wrong, message in (
        ("ssim", "ssim asks no model"),
        (f"encoder:{vlm.folder}", "is of vlm:FOLDER alone"),
        (f"vlm:{data}", "names another folder than that of the model given"),
        (f"vlm:{vlm.folder},dtype=bfloat16", "in bfloat16, the model given on cpu in float32"),
        (f"vlm:{vlm.folder},layer=2", "no layer or pool"),
    ):
        with pytest.raises(ValueError, match=message):
            unisim.metric(wrong, vlm=model)


def test_every_item_is_told_whether_found_or_unreadable(tmp_path, data, vlm):
    own = tmp_path / "own"
    shutil.copytree(data, own)
    task = made_task(tmp_path, own, "img-2afc")
    metric = unisim.by_asking(unisim.Vlm.load(vlm.folder))

    def told():
        calls = []
        found = unisim.evaluate(
            unisim.Task.load(task, own), metric, store=tmp_path / "store",
            progress=lambda done, total: calls.append((done, total)),
        )  # fmt: skip
        return calls, found

    every = [(k + 1, ITEMS) for k in range(ITEMS)]
    assert told()[0] == every
    calls, found = told()
    assert calls == every and (found.computed, found.found) == (0, ITEMS)
    last = items_of("img-2afc")[0][-1]["candidates"][1]["image"]
    (own / last).unlink()
    calls, found = told()
    assert calls == every and found.items[-1].error and found.computed == 0


def test_examples_through_the_command_line(tmp_path, data, vlm, own_world, run):  # noqa: F811
    task = made_task(tmp_path, data, "img-2afc")
    other = pictures(tmp_path / "data2", [f"{k}.png" for k in range(20)])
    for shown in NAMES:
        (other / shown).unlink()
    pool = [pair(f"{k}.png", f"{k + 1}.png", f"{k + 2}.png", k % 2) for k in range(8, 18)]
    solved = task_written(tmp_path / "solved", other, "img-2afc", pool)
    for shown in [f"{k}.png" for k in range(8, 20)]:
        (data / shown).write_bytes((other / shown).read_bytes())
    out, page = tmp_path / "r.json", tmp_path / "r.html"
    asked = [
        "evaluate",
        task,
        "--data",
        data,
        "--metric",
        f"vlm:{vlm.folder},shots=2,seed=3",
        "--store",
        tmp_path / "s",
    ]
    code, _, stderr = run(*asked, "--examples", solved, "-o", out, "--report", page)
    assert code == 0, stderr
    result = json.loads(out.read_bytes())["results"][0]
    assert len(result["examples"]) == 2 and result["metric"].endswith(",shots=2,seed=3")
    assert all(example in page.read_text() for example in result["examples"])
    before = page.read_bytes(), out.read_bytes()
    assert run(*asked, "--examples", solved, "-o", out, "--report", page)[0] == 0
    assert (page.read_bytes(), out.read_bytes()) == before
    code, _, stderr = run(*asked)
    assert code != 0 and "give examples" in stderr
