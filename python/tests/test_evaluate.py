"""Metrics against tasks: every question by a definition of the test's own, ties, failures, the store, kills."""

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import unisim
from command_line import own_world, run  # noqa: F401
from conftest import test_data
from test_encoder_metric import NAIVE, OPPOSITES
from test_encoder_texts import clip_folder
from tiny_tasks import pair, pictures, written
from unisim import Text, results

NAMES = [f"{k}.png" for k in range(8)]


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory):
    return clip_folder(test_data, tmp_path_factory.mktemp("clip"))


@pytest.fixture
def data(tmp_path):
    return pictures(tmp_path / "data", NAMES)


def psnr(data, x, y):
    return unisim.metric("psnr")(data / x, data / y)


def test_two_images_against_a_reference(tmp_path, data):
    triples = [("0.png", "1.png", "2.png"), ("1.png", "2.png", "3.png"), ("4.png", "5.png", "6.png")]
    nearer = [int(psnr(data, r, a) < psnr(data, r, b)) for r, a, b in triples]
    items = [pair(*triples[0], nearer[0], group="x"), pair(*triples[1], nearer[1], group="y")]
    items += [pair(*triples[2], 1 - nearer[2], group="x"), pair("0.png", "7.png", "7.png", 1, group="y")]
    task = unisim.Task.load(written(tmp_path / "task", data, "img-2afc", items), data)
    found = unisim.evaluate(task, unisim.metric("psnr"))
    assert [item.right for item in found.items] == [True, True, False, False]
    assert [item.tied for item in found.items] == [False, False, False, True]
    assert found.items[3].chosen == 0  # a tie is the first
    assert found.items[0].scores == [psnr(data, *triples[0][:2]), psnr(data, triples[0][0], triples[0][2])]
    assert (found.n, found.right, found.ties, found.accuracy) == (4, 2, 1, 0.5)
    assert found.interval == tuple(unisim.wilson_interval(2, 4))
    assert [(g.group, g.n, g.right, g.ties) for g in found.groups] == [("x", 2, 1, 0), ("y", 2, 1, 1)]
    assert found.manifest == task.manifest and found.votes is None


def test_a_distance_chooses_the_smaller(tmp_path, data):
    """A metric of the other direction, made of the same numbers, chooses the same."""
    lpips = unisim.metric(f"lpips-alex:{test_data('models/lpips_alex')}")
    assert not lpips.higher_is_better
    items = [pair(f"{k}.png", f"{k + 1}.png", f"{k + 2}.png", 0) for k in range(4)]
    task = unisim.Task.load(written(tmp_path / "task", pictures(tmp_path / "big", NAMES, (80, 72)), "img-2afc", items),
                            tmp_path / "big")  # fmt: skip
    for item, asked in zip(unisim.evaluate(task, lpips).items, items, strict=True):
        files = [
            tmp_path / "big" / operand["image"] for operand in [asked["reference"], *asked["candidates"]]
        ]
        scores = [lpips(files[0], file) for file in files[1:]]
        assert item.scores == scores and item.chosen == int(np.argmin(scores))


def test_votes(tmp_path, data):
    items = [pair("0.png", "1.png", "2.png", 0, vote=0.25), pair("1.png", "7.png", "7.png", 0, vote=0.9)]
    task = unisim.Task.load(written(tmp_path / "task", data, "img-2afc", items), data)
    found = unisim.evaluate(task, unisim.metric("psnr"))
    first = 0.75 if found.items[0].chosen == 0 else 0.25
    assert found.votes == (first + 0.5) / 2


def test_images_and_texts(tmp_path, data, clip_model):
    clip = unisim.metric(f"encoder:{clip_model}")
    items = [pair((f"a picture of {k}",), f"{k}.png", f"{k + 1}.png", k % 2) for k in range(6)]
    task = unisim.Task.load(written(tmp_path / "it", data, "it-2afc", items), data)
    for k, item in enumerate(unisim.evaluate(task, clip).items):
        want = [clip(Text(f"a picture of {k}"), data / f"{k + d}.png") for d in (0, 1)]
        assert item.scores == pytest.approx(want, abs=1e-6) and item.chosen == int(want[1] > want[0])
    items = [pair(f"{k}.png", ("one",), (f"{k} things",), k % 2) for k in range(6)]
    task = unisim.Task.load(written(tmp_path / "ti", data, "text-2afc", items), data)
    for k, item in enumerate(unisim.evaluate(task, clip).items):
        want = [clip(data / f"{k}.png", Text(text)) for text in ("one", f"{k} things")]
        assert item.scores == pytest.approx(want, abs=1e-6) and item.chosen == int(want[1] > want[0])


@pytest.mark.parametrize("attribute", list(NAIVE))
def test_attributes_in_both_modes(tmp_path, data, clip_model, attribute):
    encoder = unisim.Encoder.load(clip_model)
    images = encoder.embed_images([data / name for name in NAMES]).double()
    kind = "iqa" if attribute == "quality" else "paa"
    items = [pair(None, f"{k}.png", f"{k + 1}.png", k % 2) for k in range(7)]
    task = unisim.Task.load(written(tmp_path / "t", data, kind, items, attribute=attribute), data)
    naive = images @ encoder.embed_texts([NAIVE[attribute]]).double()[0]
    two = images @ encoder.embed_texts(list(OPPOSITES[attribute])).double().T
    for mode, scores in (("naive", naive), ("clip-iqa", two.softmax(dim=1)[:, 0])):
        found = unisim.evaluate(task, unisim.by_cosine(encoder), mode=mode)
        for k, item in enumerate(found.items):
            assert item.scores == pytest.approx(scores[k : k + 2].tolist(), abs=1e-6)
            assert item.chosen == int(scores[k + 1] > scores[k])
    with pytest.raises(ValueError, match="clip-iqa"):
        unisim.evaluate(task, unisim.by_cosine(encoder), mode="clever")


def test_the_odd_one_of_three(tmp_path, data):
    items = [{"candidates": [{"image": f"{k + d}.png"} for d in range(3)], "label": k % 3} for k in range(5)]
    items.append({"candidates": [{"image": "3.png"}] * 3, "label": 0})
    task = unisim.Task.load(written(tmp_path / "task", data, "ooo", items), data)
    found = unisim.evaluate(task, unisim.metric("psnr"))
    for k, item in enumerate(found.items[:5]):
        without = [psnr(data, f"{k + a}.png", f"{k + b}.png") for a, b in ((1, 2), (0, 2), (0, 1))]
        assert item.scores == without and item.chosen == int(np.argmax(without))
    assert found.items[5].tied and found.items[5].chosen == 0 and found.items[5].right


def revisited(ranked, positive, junk):
    """Average precision as the revisited protocol has it, from the ranks of the positives (Radenovic et al. 2018)."""
    kept = [place for place in ranked if place not in junk]
    ranks = [rank for rank, place in enumerate(kept) if place in positive]
    total = 0.0
    for j, rank in enumerate(ranks):
        before = 1.0 if rank == 0 else j / rank
        total += (before + (j + 1) / (rank + 1)) / 2
    return total / len(positive)


def test_retrieval(tmp_path, data):
    base = [f"{k}.png" for k in range(1, 8)]
    items = [
        {"reference": {"image": "0.png"}, "easy": [0, 3], "hard": [5], "junk": [1]},
        {"reference": {"image": "2.png"}, "easy": [4], "hard": [], "junk": []},
    ]
    task = unisim.Task.load(written(tmp_path / "task", data, "ir", items, database=base), data)
    found = unisim.evaluate(task, unisim.metric("ssim"))
    ssim = unisim.metric("ssim")
    medium, hard = [], []
    for item in items:
        scores = [ssim(data / item["reference"]["image"], data / name) for name in base]
        ranked = sorted(range(7), key=lambda k: (-scores[k], k))
        medium.append(revisited(ranked, {*item["easy"], *item["hard"]}, set(item["junk"])))
        if item["hard"]:
            hard.append(revisited(ranked, set(item["hard"]), {*item["junk"], *item["easy"]}))
    assert found.map == pytest.approx(np.mean(medium), abs=1e-12)
    assert found.map_hard == pytest.approx(np.mean(hard), abs=1e-12)
    assert (found.measure, found.n) == ("map", 2)


def test_what_a_metric_cannot_do_it_says(tmp_path, data):
    items = [pair(("a text",), "0.png", "1.png", 0)]
    task = unisim.Task.load(written(tmp_path / "it", data, "it-2afc", items), data)
    with pytest.raises(ValueError, match=r"ssim cannot do it-2afc \(tiny\): it compares pixels"):
        unisim.evaluate(task, unisim.metric("ssim"))
    items = [pair(None, "0.png", "1.png", 0)]
    task = unisim.Task.load(written(tmp_path / "iqa", data, "iqa", items, attribute="quality"), data)
    with pytest.raises(ValueError, match="psnr cannot do iqa"):
        unisim.evaluate(task, unisim.metric("psnr"))


@pytest.mark.parametrize("kind", ["pairs", "rows"])
def test_a_bad_picture_costs_its_items_and_a_changed_one_ends_the_run(tmp_path, data, clip_model, kind):
    metric = unisim.metric("psnr" if kind == "pairs" else f"encoder:{clip_model}")
    (data / "7.png").write_bytes(b"no picture")
    items = [
        pair("0.png", "1.png", "2.png", 0),
        pair("0.png", "7.png", "2.png", 0),
        pair("3.png", "4.png", "5.png", 0),
    ]
    task = unisim.Task.load(written(tmp_path / "task", data, "img-2afc", items), data)
    (data / "4.png").unlink()
    found = unisim.evaluate(task, metric)
    assert found.n == 1 and found.items[0].error == ""
    assert "7.png" in found.items[1].error and "4.png" in found.items[2].error
    assert sorted(file for file, _ in found.failures) == [str(data / "4.png"), str(data / "7.png")]
    pictures(data, ["1.png"])  # another picture of that name
    with pytest.raises(ValueError, match=r"1.png.*its SHA-256 is .*the task was made of"):
        unisim.evaluate(task, metric)


@pytest.mark.parametrize("kind", ["pairs", "rows"])
def test_stored_rows_do_not_hide_what_became_of_the_files(tmp_path, data, clip_model, kind):
    metric = unisim.metric("psnr" if kind == "pairs" else f"encoder:{clip_model}")
    (data / "twin.png").write_bytes((data / "1.png").read_bytes())
    items = [pair("0.png", "1.png", "2.png", 0), pair("0.png", "twin.png", "3.png", 0)]
    task = unisim.Task.load(written(tmp_path / "task", data, "img-2afc", items), data)
    whole = unisim.evaluate(task, metric, store=tmp_path / "store")
    assert whole.n == 2
    (data / "1.png").unlink()
    found = unisim.evaluate(task, metric, store=tmp_path / "store")
    cold = unisim.evaluate(task, metric)
    for one in (found, cold):  # the twin's item is none of the missing file's business
        assert one.n == 1 and one.failures[0][0] == str(data / "1.png") and len(one.failures) == 1
        assert one.items[1].scores == whole.items[1].scores and "1.png" in one.items[0].error
    pictures(data, ["2.png"])
    with pytest.raises(ValueError, match="2.png.*its SHA-256 is"):
        unisim.evaluate(task, metric, store=tmp_path / "store")


def test_a_broken_picture_that_pillow_alone_reads_costs_its_items(tmp_path, data):
    Image.open(data / "0.png").save(data / "good.bmp")
    (data / "bad.bmp").write_bytes((data / "good.bmp").read_bytes()[:60])
    items = [pair("1.png", "good.bmp", "2.png", 0), pair("1.png", "bad.bmp", "2.png", 0)]
    task = unisim.Task.load(written(tmp_path / "task", data, "img-2afc", items), data)
    found = unisim.evaluate(task, unisim.metric("psnr"))
    assert found.items[0].scores[0] == psnr(data, "1.png", "0.png")
    assert found.n == 1 and "bad.bmp" in found.items[1].error


def test_pictures_of_two_sizes_cost_their_item_alone(tmp_path, data):
    pictures(data, ["wide.png"], size=(60, 40))
    items = [pair("0.png", "wide.png", "1.png", 0), pair("0.png", "1.png", "2.png", 0)]
    found = unisim.evaluate(
        unisim.Task.load(written(tmp_path / "t", data, "img-2afc", items), data), unisim.metric("ssim")
    )
    assert found.n == 1 and "60 x 40" in found.items[0].error.replace("×", "x")


@pytest.mark.parametrize("kind", ["pairs", "rows"])
def test_what_is_stored_is_not_computed_again(tmp_path, data, clip_model, kind):
    metric = unisim.metric("ssim" if kind == "pairs" else f"encoder:{clip_model}")
    items = [pair(f"{k}.png", f"{k + 1}.png", f"{k + 2}.png", 0) for k in range(6)]
    (data / "again.png").write_bytes((data / "0.png").read_bytes())  # the same content by another name
    items.append(pair("again.png", "1.png", "2.png", 0))
    task = unisim.Task.load(written(tmp_path / "task", data, "img-2afc", items), data)
    first = unisim.evaluate(task, metric, store=tmp_path / "store")
    assert (first.computed, first.found) == ((12, 0) if kind == "pairs" else (8, 0))
    second = unisim.evaluate(task, metric, store=tmp_path / "store")
    assert (second.computed, second.found) == (0, first.computed)
    plain = unisim.evaluate(task, metric)
    assert (
        [i.scores for i in first.items] == [i.scores for i in second.items] == [i.scores for i in plain.items]
    )


def test_a_store_tells_models_apart(tmp_path, data, clip_model):
    items = [pair("0.png", "1.png", "2.png", 0)]
    task = unisim.Task.load(written(tmp_path / "task", data, "img-2afc", items), data)
    for options in ({}, {"layer": 1}, {"layer": 1, "pool": "mean"}, {"dtype": "bfloat16"}):
        found = unisim.evaluate(
            task, unisim.metric(f"encoder:{clip_model}", **options), store=tmp_path / "store"
        )
        assert (found.computed, found.found) == (3, 0)


def test_progress_may_end_a_run(tmp_path, data):
    items = [pair(f"{k}.png", f"{j}.png", "7.png", 0) for k in range(7) for j in range(7)]
    task = unisim.Task.load(written(tmp_path / "task", data, "img-2afc", items), data)
    seen = []

    def stop(done, total):
        seen.append((done, total))
        if done > 20:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        unisim.evaluate(task, unisim.metric("ssim"), store=tmp_path / "store", progress=stop)
    again = unisim.evaluate(task, unisim.metric("ssim"), store=tmp_path / "store")
    assert again.found == seen[-1][0] and again.found + again.computed == seen[-1][1]


def made_result(question, value, metric="m", mode=None, **more):
    measure = (
        {"measure": "map", "map": value, "map_hard": value / 2}
        if question == "ir"
        else {"measure": "accuracy"}
    )
    return (
        {"task": question, "question": question, "metric": metric, "mode": mode, "accuracy": value}
        | measure
        | more
    )


def test_the_means_of_the_benchmark_by_hand():
    found = [made_result(q, v) for q, v in [("img-2afc", 0.8), ("it-2afc", 0.6), ("text-2afc", 0.7)]]
    found += [made_result("img-2afc", 0.6, task="second")]
    found += [
        made_result(q, v, mode=m) for m in ("naive", "clip-iqa") for q, v in [("iqa", 0.9), ("paa", 0.5)]
    ]
    one, other = results.means(found)
    assert (one.metric, other.metric) == ("m (naive)", "m (clip-iqa)")
    assert (
        one.core == pytest.approx((0.7 + 0.6 + 0.7 + 0.9) / 4) and one.ood is None and one.all_seven is None
    )
    found += [made_result("ooo", 0.4), made_result("ir", 0.3)]
    one = results.means(found)[0]
    assert one.ood == pytest.approx((0.5 + 0.4 + 0.3) / 3)
    assert one.all_seven == pytest.approx((0.7 + 0.6 + 0.7 + 0.9 + 0.5 + 0.4 + 0.3) / 7)
    assert [m.metric for m in results.means(found[:4])] == ["m"]


# ---- the command ------------------------------------------------------------------------------------------


def test_the_command(tmp_path, data, own_world, run):  # noqa: F811
    items = [pair(f"{k}.png", f"{k + 1}.png", f"{k + 2}.png", 0, group="xy"[k % 2]) for k in range(6)]
    task = written(tmp_path / "task", data, "img-2afc", items)
    out, page = tmp_path / "out.json", tmp_path / "page.html"
    asked = ["evaluate", task, "--data", data, "--metric", "psnr", "-o", out, "--report", page, "--json"]
    code, stdout, stderr = run(*asked)
    assert code == 0, stderr
    said = json.loads(stdout)
    direct = unisim.evaluate(unisim.Task.load(task, data), unisim.metric("psnr"))
    assert (said["task"], said["metric"], said["n"]) == ("tiny", "psnr", 6)
    assert said["accuracy"] == direct.accuracy and said["interval"] == list(direct.interval)
    bytes_ = out.read_bytes(), page.read_bytes()
    assert run(*asked)[0] == 0 and (out.read_bytes(), page.read_bytes()) == bytes_
    assert b"http" not in bytes_[1].split(b"<script")[0]

    code, stdout, _ = run("evaluate", task, "--data", data, "--metric", "psnr", "--metric", "ssim", "--json")
    both = json.loads(stdout)
    assert code == 0 and len(both["results"]) == 2 and len(both["comparisons"]) == 1
    assert both["comparisons"][0]["p_holm"] == both["comparisons"][0]["p"]

    (data / "3.png").unlink()
    code, stdout, stderr = run(
        "evaluate", task, "--data", data, "--metric", "ms-ssim", "--no-store", "--json"
    )
    assert (
        code == 3 and json.loads(stdout)["accuracy"] is None
    )  # it needs larger pictures: no item has a score
    code, stdout, stderr = run("evaluate", task, "--data", data, "--metric", "psnr", "--no-store", "--json")
    assert code == 3 and json.loads(stdout)["n"] == 3 and "3.png" in stderr
    code, _, stderr = run("evaluate", tmp_path / "nothing", "--metric", "psnr")
    assert code == 1 and "nothing" in stderr


def rows_in(store):
    return unisim.Store(store).counts().rows if (store / "index.sqlite").exists() else 0


def test_killed_again_and_again_it_ends_in_the_same_bytes(tmp_path, data, clip_model):
    """Ten kills at random moments: the store keeps what was committed, and the result is that of one calm run."""
    names = [f"many/{k}.png" for k in range(300)]
    pictures(data, names)
    items = [pair(names[k], names[(k * 7 + 1) % 300], names[(k * 11 + 2) % 300], k % 2) for k in range(300)]
    task = written(tmp_path / "task", data, "img-2afc", items)
    metric = f"encoder:{clip_model}"

    def command(store, out):
        return [sys.executable, "-m", "unisim", "evaluate", str(task), "--data", str(data), "--metric", metric,
                "--store", str(store), "-o", str(out), "--json"]  # fmt: skip

    subprocess.run(command(tmp_path / "calm", tmp_path / "calm.json"), check=True, capture_output=True)
    store, moments, kept = tmp_path / "hit", random.Random(5), 0
    for _ in range(10):
        child = subprocess.Popen(command(store, tmp_path / "hit.json"), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)  # fmt: skip
        while child.poll() is None and rows_in(store) <= kept:  # it has stored something new
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        child.wait()
        kept = rows_in(store)
    last = subprocess.run(command(store, tmp_path / "hit.json"), check=True, capture_output=True, text=True)
    assert (tmp_path / "hit.json").read_bytes() == (tmp_path / "calm.json").read_bytes()
    assert (
        json.loads(last.stdout)["accuracy"]
        == json.loads((tmp_path / "calm.json").read_bytes())["results"][0]["accuracy"]
    )
    # Nothing that was stored is embedded again: the last run computed the rest alone.
    assert kept and f"{300 - kept} computed, {kept} found in the store" in last.stderr
