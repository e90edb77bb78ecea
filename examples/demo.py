"""The main job on real photographs: LPIPS and an encoder say what looks alike, and how often each is right."""

import argparse
import shutil
import sys
import time
from pathlib import Path

import demo_photos
from demo_photos import DISTORTIONS

import unisim
from unisim.report import Closest, Table, write_report

MODEL = "dinov2-vits14-saliency"
LAST, NINTH = "DINOv2, last layer", "DINOv2, layer 9"
ALIKE_ABOVE, APART_BELOW = 0.75, 0.45
MOST_OWN = 24  # pictures of a user's own folder: the demo takes a minute or two; `unisim mine` takes them all


def progress(what):
    """A callback that counts on one line of stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        print(f"{what} ...", file=sys.stderr)
        return None

    def show(done, total):
        print(f"\r{what}: {done}/{total} ", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show


def embed_all(encoder, files):
    """Title to rows: every picture once through the encoder's own output and once through its layer 9."""
    images = unisim.read_images(files)
    return {
        NINTH: encoder.embed_images(images, layer=9, pool="mean", progress=progress(f"embed, {NINTH}")),
        LAST: encoder.embed_images(images, progress=progress(f"embed, {LAST}")),
    }


def by_metric(name, title):
    """Closeness of pairs of files by a metric of the library: higher is closer, whatever its sign."""
    metric = unisim.metric(name)
    sign = 1 if metric.higher_is_better else -1

    def closeness(xs, ys):
        images = {file: unisim.read_image(file) for file in {*xs, *ys}}
        pairs = [images[x] for x in xs], [images[y] for y in ys]
        return (sign * metric(*pairs, progress=progress(title))).tolist()

    return closeness


def by_rows(rows, files):
    """Closeness of pairs of files by the cosine of rows already embedded."""
    number = {file: k for k, file in enumerate(files)}
    return lambda xs, ys: unisim.cosine_rows(
        rows[[number[x] for x in xs]], rows[[number[y] for y in ys]]
    ).tolist()


def order_scores(closeness_of, pictures, strangers):
    """Kind to (right, asked): is the weaker change closer; are a picture's own variants closer than a stranger."""
    variants = [name for name in pictures[0] if name != "original"]
    xs, ys = [], []
    for picture, stranger in zip(pictures, strangers, strict=True):
        ys += [*(picture[name] for name in variants), stranger]
        xs += [picture["original"]] * (len(variants) + 1)
    scores = closeness_of(xs, ys)
    right = dict.fromkeys((*DISTORTIONS, "mirror", "another photo"), 0)
    row = len(variants) + 1
    for k in range(len(pictures)):
        closeness = dict(zip([*variants, "stranger"], scores[k * row : (k + 1) * row], strict=True))
        for kind in DISTORTIONS:
            right[kind] += closeness[f"{kind} weak"] > closeness[f"{kind} strong"]
        right["mirror"] += closeness["mirror"] > closeness["stranger"]
        right["another photo"] += (
            min(closeness[f"{kind} weak"] for kind in DISTORTIONS) > closeness["stranger"]
        )
    return {kind: (count, len(pictures)) for kind, count in right.items()}


def accuracy_table(scorers, pictures):
    strangers = demo_photos.strangers(pictures)
    rows = []
    for title, closeness_of in scorers.items():
        scores = order_scores(closeness_of, pictures, strangers)
        right, asked = (sum(pair[k] for pair in scores.values()) for k in (0, 1))
        rows.append([title, f"{right / asked:.0%}", *(f"{r}/{n}" for r, n in scores.values())])
    return Table(
        "How often each metric is right",
        "Each picture was changed weakly and strongly: saved as JPEG (quality 50 and 5), blurred (sigma 1 and 5 "
        "pixels), noised (sigma 8 and 50), cropped (95 % and 60 % kept, enlarged). Right: the weak change is closer to "
        "the picture than the strong one. Mirror: the mirrored picture is closer than another photograph. Another "
        "photo: so is every weak change.",
        ["metric", "in all", *DISTORTIONS, "mirror", "another photo"],
        rows,
    )


def closest(originals, collection, rows):
    """For each original, what LPIPS and each encoder call closest in the collection, itself apart."""
    pairs = [(file, other) for file in originals for other in collection if other != file]
    lpips = by_metric("lpips-alex", "closest by LPIPS")(*map(list, zip(*pairs, strict=True)))
    cosines = {title: unisim.cosine(r, r) for title, r in rows.items()}
    table = []
    for k, file in enumerate(originals):
        first = k * (len(collection) - 1)
        score, other = max(zip(lpips[first : first + len(collection) - 1], pairs[first:], strict=False))
        neighbours = [("LPIPS (lower: closer)", other[1], f"{-score:.3f}")]
        own = collection.index(file)
        for title, matrix in cosines.items():
            best = max((j for j in range(len(collection)) if j != own), key=lambda j: matrix[own, j].item())
            neighbours.append((f"{title} (cosine)", collection[best], f"{matrix[own, best].item():.3f}"))
        table.append(Closest(file, neighbours))
    return table


def print_summary(table, near, pairs, collection):
    print(f"\n{table.title} ({len(near)} photographs):")
    lines = [table.columns, *table.rows]
    widths = [max(len(str(row[k])) for row in lines) for k in range(len(table.columns))]
    for row in lines:
        print(
            "  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"\nClosest to each photograph, by LPIPS and by {NINTH}:")
    for row in near[:6]:
        by_lpips, by_encoder = row.neighbours[0], row.neighbours[1]
        print(
            f"  {row.file.name}: {by_lpips[1].name} ({by_lpips[2]}); {by_encoder[1].name} ({by_encoder[2]})"
        )
    if len(near) > 6:
        print(f"  ... and {len(near) - 6} more in the report")
    print(
        f"\nCalled alike by {LAST} (above {ALIKE_ABOVE}), different by {NINTH} (below {APART_BELOW}): {len(pairs)} pairs"
    )
    for pair in sorted(pairs, key=lambda pair: pair.apart - pair.alike)[:5]:
        print(
            f"  {collection[pair.i].name} and {collection[pair.j].name}: {pair.alike:.3f} and {pair.apart:.3f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, help="your own pictures; default: scikit-image's and scikit-learn's"
    )
    parser.add_argument("--out", type=Path, default=Path("build/demo"))
    given = parser.parse_args()
    start = time.monotonic()
    files = demo_photos.photos_in(given.folder) if given.folder else demo_photos.shipped_photos()
    found = len(files)
    files = files[:MOST_OWN]
    shutil.rmtree(given.out, ignore_errors=True)
    pictures, failures = demo_photos.write_variants(files, given.out / "pictures")
    for file, error in failures:
        print(f"not read: {file}: {error}", file=sys.stderr)
    if len(pictures) < 2:
        sys.exit(
            f"demo: {given.folder} holds {len(pictures)} readable pictures of {found}; at least 2 are needed"
        )

    files = [file for picture in pictures for file in picture.values()]
    embedded = embed_all(unisim.Encoder.load(MODEL), files)
    scorers = {"LPIPS (AlexNet)": by_metric("lpips-alex", "order by LPIPS")}
    scorers |= {title: by_rows(rows, files) for title, rows in embedded.items()}
    scorers |= {"SSIM": by_metric("ssim", "order by SSIM"), "PSNR": by_metric("psnr", "order by PSNR")}
    table = accuracy_table(scorers, pictures)
    originals = [picture["original"] for picture in pictures]
    shown = ("mirror", "blur strong", "crop strong")
    collection = originals + [picture[name] for picture in pictures for name in shown]
    rows = {title: rows[[files.index(file) for file in collection]] for title, rows in embedded.items()}
    near = closest(originals, collection, rows)
    pairs = unisim.mine_blind_pairs(rows[LAST], rows[NINTH], alike_above=ALIKE_ABOVE, apart_below=APART_BELOW)

    print_summary(table, near, pairs, collection)
    report = (given.out / "report.html").resolve()
    write_report(
        report,
        files=collection,
        alike=rows[LAST],
        apart=rows[NINTH],
        pairs=pairs,
        alike_above=ALIKE_ABOVE,
        apart_below=APART_BELOW,
        alike_name=LAST,
        apart_name=NINTH,
        failures=failures,
        settings={
            "unisim": unisim.__version__,
            "encoder": f"{MODEL}: a DINOv2 ViT-S/14 tuned to predict saliency. Its last layers lost some meaning, which is "
            "why its last layer and its layer 9 disagree",
            "pictures": f"{len(originals)} of {found}, each as its middle square of {demo_photos.SIDE} pixels, with a "
            "mirrored, a blurred and a cropped variant",
            "thresholds": f"alike above {ALIKE_ABOVE}, apart below {APART_BELOW}; the 0.95 and 0.6 of the MMVP paper (arXiv "
            "2401.06209) are for CLIP ViT-L/14 against DINOv2 ViT-L/14",
        },
        summary=[
            "LPIPS measures what a person sees, patch by patch; an encoder says what a picture shows. Two layers of one "
            "encoder do not agree either, and the pairs on which they disagree are worth a look."
        ],
        tables=[table],
        closest=near,
    )
    print(f"\nreport: {report}  ({time.monotonic() - start:.0f} s)")


if __name__ == "__main__":
    main()
