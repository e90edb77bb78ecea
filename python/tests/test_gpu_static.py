"""scripts/gpu_static: every kernel keeps its limits, and a broken limit is seen."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GATE = ROOT / "tests" / "static"
LIMITS = GATE / "resources.csv"
sys.path.insert(0, str(GATE))

import compiled
from occupancy import DEVICES, blocks_per_sm

needs_nvcc = pytest.mark.skipif(
    not compiled.nvcc(), reason="nvcc is not there: NO kernel was held to its limits"
)
needs_nvdisasm = pytest.mark.skipif(
    not compiled.nvdisasm(), reason="nvdisasm is not there: no instruction counts"
)

SPILLING = """
#include "device.cuh"
namespace unisim {
__global__ void __launch_bounds__(1024, 2) many(const float* x, float* out) {
  float v[96];
#pragma unroll
  for (int k = 0; k < 96; ++k) v[k] = x[k * 1024 + threadIdx.x];
#pragma unroll 1
  for (int turn = 0; turn < 8; ++turn)
#pragma unroll
    for (int k = 0; k < 96; ++k) v[k] = v[k] * v[(k * 7 + 1) % 96] + v[(k * 5 + 3) % 96];
#pragma unroll
  for (int k = 0; k < 96; ++k) out[k * 1024 + threadIdx.x] = v[k];
}
}  // namespace unisim
"""
SHARING = """
#include "device.cuh"
namespace unisim {
namespace {
template <class T>
__global__ void reversed(T* x) {
  T* kept = reinterpret_cast<T*>(dynamic_shared());
  SHARED_ARRAY(T, first, 4);
  kept[threadIdx.x] = x[threadIdx.x];
  if (threadIdx.x == 0) first[1] = x[0];
  __syncthreads();
  x[threadIdx.x] = kept[blockDim.x - 1 - threadIdx.x] + first[1];
}
template __global__ void reversed(float*);
}  // namespace
}  // namespace unisim
"""


def gate(*given):
    return subprocess.run(
        [sys.executable, GATE / "gpu_static.py", *map(str, given)],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip


def gate_with_one_number_changed(folder, column, change):
    """The gate over l2_normalize, with the column of its first row changed in a copy of the limits."""
    with LIMITS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"] == "l2_normalize"]
    rows[0][column] = change(rows[0][column])
    copy = folder / "resources.csv"
    with copy.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return gate("--limits", copy, "l2_normalize")


@needs_nvcc
def test_every_kernel_keeps_its_limits():
    done = gate()
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)


@needs_nvcc
@pytest.mark.parametrize(
    ("column", "change", "says"),
    [
        ("registers", lambda n: str(int(n) - 1), "registers, its limit is"),
        ("shared", lambda n: str(int(n) + 16), "of static shared memory, its row says"),
        ("block", lambda n: str(int(n) * 2), "__launch_bounds__ says"),
        ("blocks_per_sm", lambda n: str(int(n) + 1), "of blocks_per_sm, its row demands"),
        ("kernel", lambda name: name + "_gone", "the row is stale"),
        ("kernel", lambda name: name + "_gone", "has no row"),
    ],
)
def test_a_limit_that_is_broken_is_named(tmp_path, column, change, says):
    done = gate_with_one_number_changed(tmp_path, column, change)
    assert done.returncode == 1, done.stdout
    assert says in done.stderr


@needs_nvcc
@needs_nvdisasm
def test_an_instruction_that_went_missing_is_named(tmp_path):
    done = gate_with_one_number_changed(tmp_path, "ldg128", lambda n: str(int(n) + 1))
    assert done.returncode == 1
    assert "of ldg128, its row demands" in done.stderr


@needs_nvcc
def test_a_spill_stops_the_gate(tmp_path):
    (tmp_path / "many.cu").write_text(SPILLING)
    done = gate("--sources", tmp_path, "--limits", tmp_path / "none.csv", "--cache", tmp_path / "cache")
    assert done.returncode == 1
    assert "does not compile for sm_80" in done.stderr
    assert "spilled" in done.stderr.lower() or "local memory" in done.stderr.lower()


@needs_nvcc
@needs_nvdisasm
def test_what_nvcc_cannot_know_of_a_launch_must_be_written_by_hand(tmp_path):
    (tmp_path / "reversed.cu").write_text(SHARING)
    limits = tmp_path / "resources.csv"
    where = ("--sources", tmp_path, "--limits", limits, "--cache", tmp_path / "cache")
    written = gate("--write", *where)
    assert written.returncode == 1
    assert "states no block" in written.stderr
    assert "states no dynamic_shared" in written.stderr
    with limits.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["kernel"] for row in rows} == {"reversed<float>"}
    assert {row["shared"] for row in rows} == {"128"}  # 16, and dynamic memory begins at a multiple of 128
    for row in rows:
        row |= {"block": 128, "dynamic_shared": 64 * 1024}
    with limits.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    assert gate("--write", *where).returncode == 0
    again = gate(*where)
    assert again.returncode == 0, again.stderr
    with limits.open(newline="") as file:  # 164 and 228 KiB hold two and three blocks of a little over 65
        assert [row["blocks_per_sm"] for row in csv.DictReader(file)] == ["2", "3"]


def test_without_nvcc_it_says_that_nothing_was_checked():
    done = subprocess.run(
        [sys.executable, GATE / "gpu_static.py"],
        capture_output=True, text=True, check=False, env={"PATH": "/nonexistent"},
    )  # fmt: skip
    assert done.returncode == 0
    assert "skipped" in done.stderr


OCCUPANCY = r"""
#include <cuda_occupancy.h>
#include <cstdio>
#include <cstdlib>
int main(int, char** argument) {
  const bool hopper = std::atoi(argument[1]) == 90;
  cudaOccDeviceProp device;
  device.computeMajor = hopper ? 9 : 8;
  device.maxThreadsPerBlock = 1024;
  device.maxThreadsPerMultiprocessor = 2048;
  device.regsPerBlock = device.regsPerMultiprocessor = 65536;
  device.warpSize = 32;
  device.sharedMemPerBlock = 49152;
  device.sharedMemPerMultiprocessor = hopper ? 233472 : 167936;
  device.sharedMemPerBlockOptin = hopper ? 232448 : 166912;
  device.reservedSharedMemPerBlock = 1024;
  device.numSms = 132;
  int registers, fixed, dynamic, block;
  while (std::scanf("%d %d %d %d", &registers, &fixed, &dynamic, &block) == 4) {
    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = 1024;
    kernel.numRegs = registers;
    kernel.sharedSizeBytes = fixed;
    kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    kernel.maxDynamicSharedSizeBytes = dynamic;
    cudaOccDeviceState state;
    state.carveoutConfig = SHAREDMEM_CARVEOUT_MAX_SHARED;
    cudaOccResult result;
    const bool well = !cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, block, dynamic);
    std::printf("%d\n", well ? result.activeBlocksPerMultiprocessor : -1);
  }
}
"""


@needs_nvcc
@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not there")
def test_the_occupancy_is_that_of_cuda_occupancy_h(tmp_path):
    include = Path(compiled.nvcc()).resolve().parents[1] / "include"
    (tmp_path / "occupancy.cpp").write_text(OCCUPANCY)
    program = tmp_path / "occupancy"
    subprocess.run(["g++", f"-I{include}", tmp_path / "occupancy.cpp", "-o", program], check=True)
    cases = [
        (registers, fixed, dynamic, block)
        for registers in (16, 24, 32, 33, 40, 64, 72, 78, 96, 128, 160, 163, 168, 255)
        for fixed in (0, 16, 1000, 40000)
        for dynamic in (0, 1, 16384, 49152, 65536, 100000, 126976, 163840, 190000)
        for block in (32, 96, 128, 160, 256, 384, 512, 1024)
    ]
    for arch, device in DEVICES.items():
        said = subprocess.run(
            [program, arch[3:5]], input="\n".join(" ".join(map(str, case)) for case in cases),
            capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        ours = [blocks_per_sm(device, case[0], case[1] + case[2], case[3]) for case in cases]
        wrong = [(c, int(s), o) for c, s, o in zip(cases, said, ours, strict=True) if int(s) != o]
        assert not wrong, f"{arch}: (registers, static, dynamic, block), theirs, ours: {wrong[:5]}"
