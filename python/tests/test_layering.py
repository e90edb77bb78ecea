"""The rules of docs/design.md that a program can check, over the files of the source tree."""

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (".h", ".cpp", ".cu", ".cuh")
NOT_SOURCES = {"build", "dist", "demo", "__pycache__", "node_modules"}


@cache
def files():
    """The tracked files, and those that would be; without git, all but what builds and caches leave."""
    git = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if git.returncode == 0 and git.stdout and (ROOT / ".git").exists():
        return sorted(name for name in git.stdout.split("\0") if (ROOT / name).is_file())
    return sorted(walk(ROOT))


def walk(root):
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name for name in folders
            if name not in NOT_SOURCES and not name.startswith((".", "build")) and not name.endswith(".egg-info")
        ]  # fmt: skip
        yield from (os.path.relpath(os.path.join(folder, name), root) for name in names if name != ".git")


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def is_text(name):
    return b"\0" not in (ROOT / name).read_bytes()[:8000]


def below(*places):
    """C++ and CUDA files that are one of the places or lie under one."""
    return [name for name in files() if name.endswith(SOURCES) and name.startswith(places)]


def found(pattern, names, flags=re.MULTILINE):
    """"file: line" wherever the pattern is."""
    return [
        f"{name}: {line.strip()}"
        for name in names
        for line in text(name).splitlines()
        if re.search(pattern, line, flags)
    ]


TORCH = r"#\s*include\s*[<\"](torch|ATen|c10|caffe2|unisim/(tensor|encoder|metric|similarity|mining|fusion|unisim)\.h)"
TORCH_FREE = ("cuda/", "src/cpu/", "src/fused/", "src/io/", "src/image.cpp", "src/tokenizer.cpp", "src/error.cpp",
              "src/kernels.h", "src/views.h", "src/tasks.", "src/score_", "src/seeded.h", "src/sha256.", "src/stats",
              "src/store",
              "include/unisim/image.h", "include/unisim/tokenizer.h", "include/unisim/error.h", "include/unisim/export.h",
              "include/unisim/score", "include/unisim/stats.h", "include/unisim/store.h")  # fmt: skip


def test_the_tree_is_found_with_git_and_without():
    walked = set(walk(ROOT))
    assert "src/kernels.h" in walked and "src/kernels.h" in files()
    assert not any(name.startswith((".git/", "build")) for name in walked)


def test_the_core_includes_no_torch_header():
    assert below(*TORCH_FREE)
    assert found(TORCH, below(*TORCH_FREE)) == []


def test_public_headers_name_no_cuda_eigen_json_or_pybind11():
    assert found(r"\b(cuda\w*\.h|cuda(Stream|Error)_t|Eigen|nlohmann|pybind11|py::)", below("include/")) == []


def test_one_public_header_brings_in_libtorch():
    including = {line.split(":")[0] for line in found(r"#\s*include\s*<(torch|ATen|c10)/", below("include/"))}
    assert including <= {"include/unisim/tensor.h"}


def test_eigen_stays_in_the_kernels_and_the_statistics():
    outside = [name for name in below("") if not name.startswith(("src/cpu/", "src/stats_fit.cpp"))]
    assert found(r"#\s*include\s*<(Eigen|unsupported/Eigen)", outside) == []


def test_each_library_is_named_in_its_own_place():
    places = {
        r"#\s*include\s*<(pybind11|torch/csrc|Python\.h)": ("python/src/",),
        r"#\s*include\s*<catch2": ("tests/support.h",),
        r"#\s*include\s*<benchmark/": ("benchmarks/",),
        r"#\s*include\s*<sqlite3": ("src/store_index.cpp",),
        r"#\s*include\s*<nlohmann": ("src/io/", "tests/"),
        r"#\s*include\s*<(cuda|cublas)\w*": ("cuda/", "tests/on_cuda/", "tests/simt", "tests/ptx/",
                                           "benchmarks/findings_device.cpp", "benchmarks/kernels_on_device.cpp"),
        r"#\s*include\s*<(jpeglib|png|webp/\w+|turbojpeg)\.h": ("src/io/", "tests/"),
    }  # fmt: skip
    for pattern, allowed in places.items():
        assert found(pattern, [name for name in below("") if not name.startswith(allowed)]) == []


def test_device_words_are_written_in_one_file():
    outside = [name for name in below("cuda/", "src/", "include/") if not name.startswith("cuda/nvidia/")]
    # The launcher's signature may be described in a comment of that file alone.
    assert found(r"\basm\b|<<<|\b__shared__\b|reinterpret_cast<const uint4", outside) == []


def test_no_file_includes_all_of_torch():
    forbidden = r"#\s*include\s*[<\"](torch/torch\.h|torch/extension\.h|torch/all\.h|ATen/ATen\.h|ATen/Functions\.h)"
    assert found(forbidden, below("")) == []


def test_kernels_do_not_see_what_lies_above_them():
    upward = r"#\s*include\s*\"(\.\./)*(models/|bridge\.h|run_on\.h|measured_rows\.h)"
    assert found(upward, below("src/cpu/", "src/io/", "cuda/")) == []
    assert found(r"#\s*include\s*\".*(cuda|nvidia)/", below("src/cpu/", "src/io/", "include/")) == []


def test_no_file_is_compiled_whole_for_an_instruction_set():
    builds = [name for name in files() if name.endswith(("CMakeLists.txt", ".cmake", "CMakePresets.json"))]
    assert "src/CMakeLists.txt" in builds
    assert found(r"-m(avx|fma|f16c|bmi|sse|arch|cpu|tune)", builds) == []


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the files are of another machine")
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_a_file_of_one_instruction_set_defines_no_symbol_that_another_file_may(level, tmp_path):
    """The linker keeps one copy of a weak symbol, any: without optimisation each inline function used is one."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or "c++"
    names = [name for name in below("src/cpu/") if re.search(r"_(sse\w*|avx\w*)\.cpp$", name)]
    assert names
    for name in names:
        built = tmp_path / "built.o"
        subprocess.run(
            [compiler, "-std=c++20", level, "-Iinclude", "-Isrc", "-c", name, "-o", str(built)],
            cwd=ROOT, check=True,
        )  # fmt: skip
        symbols = subprocess.run(["nm", "-C", str(built)], capture_output=True, text=True, check=True).stdout
        kinds = [re.match(r"[0-9a-f ]{16} (\w) (.*)", line) for line in symbols.splitlines()]
        assert any(kind[1] == "T" for kind in kinds), symbols
        assert [kind[2] for kind in kinds if kind[1] in "WwVvu"] == [], name


def test_names_say_what_a_file_is():
    bad = re.compile(r"(^|[_\-.])(utils?|manager|helpers?|impl|common|misc)([_\-.]|$)")
    assert [name for name in files() if any(bad.search(part.lower()) for part in Path(name).parts)] == []


@pytest.mark.parametrize(
    "suffixes, limit, places",
    [
        (SOURCES, 400, ("src/", "cuda/", "python/", "tests/", "benchmarks/", "examples/")),
        ((".h",), 150, ("include/",)),
        ((".py",), 400, ("python/", "benchmarks/", "scripts/", "examples/")),
    ],
)
def test_files_are_small_enough_to_hold(suffixes, limit, places):
    names = [name for name in files() if name.endswith(suffixes) and name.startswith(places)]
    counts = {name: len(text(name).splitlines()) for name in names}
    assert {name: count for name, count in counts.items() if count > limit} == {}


def test_no_file_holds_a_home_of_one_machine():
    home = re.compile(r"(?<![\w.$}/-])/(root|work|home/(?!ada\b)\w+)/")  # Ada is nobody
    names = [name for name in files() if is_text(name) and name != "python/tests/test_layering.py"]
    assert [name for name in names if home.search((ROOT / name).read_text(errors="replace"))] == []


def test_every_public_header_is_in_the_one_that_has_all():
    everything = text("include/unisim/unisim.h")
    headers = [name for name in files() if name.startswith("include/unisim/")]
    missing = [
        name for name in headers
        if Path(name).name not in ("unisim.h", "export.h") and f"<unisim/{Path(name).name}>" not in everything
    ]  # fmt: skip
    assert missing == []
