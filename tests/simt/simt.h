#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// An emulated CUDA device for tests: it runs the very kernel files of cuda/, compiled by the host compiler
/// against tests/simt/device.cuh, one fiber a thread, and watches every memory access. docs/cuda.md says what
/// it proves.
namespace simt {

struct Options {
  /// 0 runs threads forwards, 1 backwards, others in random orders. Odd seeds leave the work of a stream
  /// undone until somebody waits for it; even ones do it at once.
  uint64_t seed = 0;
  bool count = false;            ///< gather traffic()
  bool truncate = false;         ///< matrix products drop bits while they add, as hardware may
  bool portable_switch = false;  ///< change fibers by ucontext, not by our own code
  int64_t fail_allocation =
      -1;  ///< how many allocations of device memory succeed before one fails; -1: all do
  uint64_t memory = 8ull << 30;  ///< bytes of device memory
};
extern Options options;

/// 0 to 7, or 0 to UNISIM_SEEDS - 1.
std::vector<uint64_t> seeds();

/// What was found since the last call, a line each: kind, thread, place; "" if nothing was. Waits for all
/// streams first.
std::string report();

/// What one kernel asked of memory, summed over its launches. A request is one instruction of one warp.
struct Traffic {
  std::string kernel;
  uint64_t bytes_read = 0, bytes_written = 0;      ///< of global memory, each byte once a request
  uint64_t sectors_read = 0, sectors_written = 0;  ///< 32-byte sectors touched, request by request
  uint64_t least_sectors_read = 0, least_sectors_written = 0;  ///< as few as could hold those bytes
  uint64_t wavefronts = 0, least_wavefronts = 0;               ///< of shared memory: passes over its 32 banks
  uint64_t atomics = 0;
};
/// Since the last call, kernel by kernel; needs options.count.
std::vector<Traffic> traffic();

/// Calls of the runtime since the last call of trace(), in order: "cudaMalloc 256", "launch normalize_rows<T>
/// stream 1", "cudaEventRecord 2 stream 1", ...
std::vector<std::string> trace();
/// Bytes of device memory that are allocated now.
uint64_t allocated();

}  // namespace simt
