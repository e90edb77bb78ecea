"""UniSim-Bench's 25 data sets (arXiv 2412.10594), in the order of its table."""

from functools import partial

from unisim.importers import (
    agiqa,
    bapps,
    cdcoco,
    cifar,
    hpdv2,
    hqedit,
    imagenet,
    imagereward,
    kadid,
    koniq,
    magicbrush,
    nights,
    pieapp,
    pipal,
    polaris,
    revisited,
    sice,
)
from unisim.importers.data_set import DataSet

SEE = "see origin"


def _koniq(name: str, attribute: str) -> DataSet:
    make = partial(koniq.make, name, attribute)
    return DataSet(
        name, "iqa" if attribute == "quality" else "paa", koniq.ORIGIN, SEE, make, attribute, koniq.OPTIONS
    )


def _revisited(name: str) -> DataSet:
    make = partial(revisited.make, name)
    return DataSet(name, "ir", revisited.ORIGIN, SEE, make, options=revisited.OPTIONS)


_ALL = (
    DataSet("nights", "img-2afc", nights.ORIGIN, SEE, nights.make, options=nights.OPTIONS),
    DataSet("bapps", "img-2afc", bapps.ORIGIN, SEE, bapps.make, options=bapps.OPTIONS),
    DataSet("pie-app-2afc", "img-2afc", pieapp.ORIGIN, SEE, pieapp.make_2afc, options=pieapp.OPTIONS),
    DataSet("imagereward1k-pairs", "it-2afc", imagereward.ORIGIN, SEE, imagereward.make, options=imagereward.OPTIONS),
    DataSet("hpdv2-pairs", "it-2afc", hpdv2.ORIGIN, SEE, hpdv2.make, options=hpdv2.OPTIONS),
    DataSet("agiqa3k-align-pairs", "it-2afc", agiqa.ORIGIN, SEE, agiqa.make_align, options=agiqa.ALIGN_OPTIONS),
    DataSet("magic_brush", "it-2afc", magicbrush.ORIGIN, SEE, magicbrush.make, options=magicbrush.OPTIONS),
    DataSet("hq_edit_text_images", "it-2afc", hqedit.ORIGIN, SEE, hqedit.make_images, options=hqedit.OPTIONS),
    DataSet("coco-triplets", "text-2afc", cdcoco.ORIGIN, SEE, cdcoco.make, options=cdcoco.OPTIONS),
    DataSet("polaris", "text-2afc", polaris.ORIGIN, SEE, polaris.make, options=polaris.OPTIONS),
    DataSet("hq_edit_text_2afc", "text-2afc", hqedit.ORIGIN, SEE, hqedit.make_texts, options=hqedit.OPTIONS),
    DataSet("kadid-pairs", "iqa", kadid.ORIGIN, SEE, kadid.make, "quality", kadid.OPTIONS),
    _koniq("koniq-pairs", "quality"),
    DataSet("pie-app-iqa", "iqa", pieapp.ORIGIN, SEE, pieapp.make_iqa, "quality", pieapp.IQA_OPTIONS),
    DataSet("agiqa3k-qual-pairs", "iqa", agiqa.ORIGIN, SEE, agiqa.make_quality, "quality", agiqa.OPTIONS),
    DataSet("pipal", "iqa", pipal.ORIGIN, SEE, pipal.make, "quality", pipal.OPTIONS),
    DataSet("sice-pairs-h", "paa", sice.ORIGIN, SEE, sice.make, "brightness", sice.OPTIONS),
    _koniq("koniq-brightness-pairs", "brightness"),
    _koniq("koniq-colorfulness-pairs", "colorfulness"),
    _koniq("koniq-contrast-pairs", "contrast"),
    _koniq("koniq-sharpness-pairs", "sharpness"),
    DataSet("cifar100coarse-triplets", "ooo", cifar.ORIGIN, SEE, cifar.make, options=cifar.OPTIONS),
    DataSet("h-imagenet-triplets", "ooo", imagenet.ORIGIN, SEE, imagenet.make, options=imagenet.OPTIONS),
    _revisited("roxford5k"),
    _revisited("rparis6k"),
)  # fmt: skip

CATALOGUE: dict[str, DataSet] = {one.name: one for one in _ALL}
