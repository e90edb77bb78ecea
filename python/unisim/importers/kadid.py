"""KADID-10k: distorted pictures of known kind and severity. Lin, Hosu and Saupe 2019.

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): images/I{01-81}_{01-25}_{01-05}.png; the rule
needs the names alone, dmos.csv is not read. No real files were seen; the distortions' names are from general knowledge.
"""

from pathlib import Path

from unisim.importers.data_set import Options, one_of, whole_number
from unisim.importers.reading import home, picture
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image

ORIGIN = "http://database.mmsp-kn.de/kadid-10k-database.html"
OPTIONS: Options = {
    "limit": ("5000", "how many pairs are drawn; a pair may be drawn again"),
    "split": ("test", "test: reference pictures 73 to 81; train: 1 to 72"),
}
SPLITS = {"test": range(73, 82), "train": range(1, 73)}
DISTORTIONS = (
    "gaussian-blur", "lens-blur", "motion-blur", "color-diffusion", "color-shift", "color-quantization",
    "color-saturation-1", "color-saturation-2", "jpeg2000", "jpeg", "white-noise", "white-noise-in-color",
    "impulse-noise", "multiplicative-noise", "denoise", "brighten", "darken", "mean-shift", "jitter",
    "non-eccentricity-patch", "pixelate", "quantization", "color-block", "high-sharpen", "contrast-change",
)  # fmt: skip


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Two severities of one distortion of one picture; the lower severity is right, whatever people said."""
    limit = whole_number("limit", options["limit"], 1, 10_000_000)
    split = one_of("split", options["split"], tuple(SPLITS))
    place = home(data, ("", "kadid10k/"), "images")
    random = Seeded("kadid-pairs", seed)
    checked: set[str] = set()

    def draw() -> Item:
        reference = random.choice(SPLITS[split])
        distortion = random.below(len(DISTORTIONS))
        shown = random.sample(range(1, 6), 2)
        paths = [f"{place}images/I{reference:02}_{distortion + 1:02}_{severity:02}.png" for severity in shown]
        for path in {*paths} - checked:
            checked.add(picture(data, path, "the rule"))
        return {
            "candidates": [image(path) for path in paths],
            "label": int(shown[1] < shown[0]),
            "group": DISTORTIONS[distortion],
        }

    return TaskContent(
        name="kadid-pairs", task="iqa", attribute="quality", origin=ORIGIN, rule="kadid-pairs", version=1, seed=seed,
        options={"limit": limit, "split": split}, items=[draw() for _ in range(limit)],
    )  # fmt: skip
