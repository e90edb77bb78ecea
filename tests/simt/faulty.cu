// Kernels with one fault each, and what must be found in them.

#include "cases.h"
#include "cases_launch.h"
#include "cases_memory.h"
#include "device.cuh"

namespace simt {
namespace {

using unisim::cp_async16;
using unisim::cp_async_commit;
using unisim::cp_async_wait;
using unisim::dynamic_shared;
using unisim::load_as;

__global__ void neighbours_without_barrier(int* out) {
  SHARED_ARRAY(int, part, 64);
  part[threadIdx.x] = static_cast<int>(threadIdx.x);
  out[threadIdx.x] = part[63 - threadIdx.x];
}
__global__ void shuffle_orders_nothing(int* out) {
  SHARED_ARRAY(int, part, 32);
  part[threadIdx.x] = static_cast<int>(threadIdx.x);
  const int moved = __shfl_xor_sync(~0u, 1, 1);
  out[threadIdx.x] = part[31 - threadIdx.x] + moved;
}
__global__ void halves_synchronised_apart(int* out) {
  SHARED_ARRAY(int, part, 32);
  part[threadIdx.x] = 1;
  if (threadIdx.x < 16)
    __syncwarp(0x0000ffffu);
  else
    __syncwarp(0xffff0000u);
  out[threadIdx.x] = part[31 - threadIdx.x];
}
__global__ void blocks_write_one_place(int* out) {
  if (threadIdx.x == 0) out[0] = static_cast<int>(blockIdx.x);
}
__global__ void block_reads_anothers_result(int* out) {
  if (threadIdx.x > 0) return;
  out[blockIdx.x] = 1;
  out[4 + blockIdx.x] = out[(blockIdx.x + 1) % gridDim.x];
}
__global__ void counted_without_atomic(int* out) { ++out[0]; }
__global__ void atomic_beside_plain(int* out) {
  if (threadIdx.x == 0) out[0] = 0;
  if (threadIdx.x == 1) atomicAdd(&out[0], 1);
}
__global__ void no_barrier_after_the_tile(int* out) {
  SHARED_ARRAY(int, tile, 64);
  int sum = 0;
  for (int step = 0; step < 2; ++step) {
    tile[threadIdx.x] = step;
    __syncthreads();
    sum += tile[63 - threadIdx.x];
  }
  out[threadIdx.x] = sum;
}
__global__ void syncwarp_between_warps(int* out) {
  SHARED_ARRAY(int, part, 64);
  part[threadIdx.x] = 1;
  __syncwarp();
  out[threadIdx.x] = part[(threadIdx.x + 32) % 64];
}
__global__ void same_value_by_all(int* out) { out[0] = 7; }

__global__ void shared_off_by_one(int* out) {
  SHARED_ARRAY(int, part, 32);
  part[threadIdx.x + 1] = 1;
  __syncthreads();
  out[threadIdx.x] = 1;
}
__global__ void reads_past_the_end(int* out) { out[threadIdx.x] = out[threadIdx.x + 64] + 1; }
__global__ void writes_before_the_start(int* out) { out[-1 - static_cast<int>(threadIdx.x)] = 1; }
__global__ void too_little_dynamic_shared(int* out) {
  auto* part = reinterpret_cast<int*>(dynamic_shared());
  part[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = part[threadIdx.x];
}
__global__ void reads_host_memory(const int* host, int* out) { out[threadIdx.x] = host[0]; }
__global__ void writes_program_data(int* out) {
  static int count = 0;
  ++count;
  out[threadIdx.x] = count;
}

__global__ void misaligned_vector(int* out) {
  out[threadIdx.x] = static_cast<int>(load_as<uint4>(out + 1).x);
}
__global__ void misaligned_copy(int* out) {
  SHARED_ARRAY(int, part, 4);
  if (threadIdx.x == 0) cp_async16(part, out + 1);
}
__global__ void misaligned_matrix_row(int* out) {
  SHARED_ARRAY(uint16_t, part, 512);
  for (unsigned k = threadIdx.x; k < 512; k += 32) part[k] = 0;
  __syncthreads();
  uint32_t r[1];
  using namespace unisim;
  ldmatrix_x1(r, part + threadIdx.x % 8 * 8 + 1);
  out[threadIdx.x] = static_cast<int>(r[0]);
}

__global__ void reads_unwritten_shared(int* out) {
  SHARED_ARRAY(int, part, 64);
  out[threadIdx.x] = part[threadIdx.x];
}
__global__ void reads_unwritten_global(int* out) { out[threadIdx.x] = out[threadIdx.x] + 1; }

__global__ void reads_before_the_wait(const int* in, int* out) {
  SHARED_ARRAY(int, part, 128);
  cp_async16(part + 4 * threadIdx.x, in + 4 * threadIdx.x);
  cp_async_commit();
  out[threadIdx.x] = part[4 * threadIdx.x];
  cp_async_wait<0>();
}
__global__ void waits_for_too_few(const int* in, int* out) {
  SHARED_ARRAY(int, part, 256);
  for (unsigned k = 0; k < 2; ++k) {
    cp_async16(part + 128 * k + 4 * threadIdx.x, in + 4 * threadIdx.x);
    cp_async_commit();
  }
  cp_async_wait<1>();
  out[threadIdx.x] = part[128 + 4 * threadIdx.x];
  cp_async_wait<0>();
}
__global__ void uncommitted_copy(const int* in, int* out) {
  SHARED_ARRAY(int, part, 128);
  cp_async16(part + 4 * threadIdx.x, in + 4 * threadIdx.x);
  cp_async_wait<0>();
  out[threadIdx.x] = part[4 * threadIdx.x];
}
__global__ void waits_without_barrier(const int* in, int* out) {
  SHARED_ARRAY(int, part, 128);
  cp_async16(part + 4 * threadIdx.x, in + 4 * threadIdx.x);
  cp_async_commit();
  cp_async_wait<0>();
  out[threadIdx.x] = part[4 * (31 - threadIdx.x)];
}
__global__ void copies_too_much(const int* in, int* out) {
  SHARED_ARRAY(int, part, 128);
  cp_async16(part + 4 * threadIdx.x, in + 4 * threadIdx.x, 20);
  cp_async_commit();
  cp_async_wait<0>();
  out[threadIdx.x] = part[4 * threadIdx.x];
}

__global__ void shuffle_by_some_under_full_mask(int* out) {
  if (threadIdx.x < 8) out[threadIdx.x] = __shfl_xor_sync(~0u, 1, 1);
}
__global__ void mask_omits_the_caller(int* out) { out[threadIdx.x] = __shfl_xor_sync(0x7fffffffu, 1, 1); }
__global__ void source_outside_the_mask(int* out) {
  if (threadIdx.x < 8) out[threadIdx.x] = __shfl_sync(0xffu, 1, 9);
}
__global__ void two_barriers(int* out) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
  out[threadIdx.x] = 1;
}
__global__ void return_before_the_barrier(int* out) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}
__global__ void lanes_in_two_operations(int* out) {
  unsigned got = 0;
  if (threadIdx.x % 2)
    got = __ballot_sync(~0u, true);
  else
    got = __reduce_add_sync(~0u, 1u);
  out[threadIdx.x] = static_cast<int>(got);
}
__global__ void barrier_against_warp_operation(int* out) {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    out[threadIdx.x] = __shfl_xor_sync(0xffff0000u | 1u, 1, 1);
}

}  // namespace

std::vector<Case> faulty_cases() {
  return {
      {"shared memory read without a barrier", "race", [] { on_64(neighbours_without_barrier); }},
      {"a shuffle taken for a barrier", "race", [] { on_64(shuffle_orders_nothing, 1, 0, 32); }},
      {"half-warp barriers, read across", "race", [] { on_64(halves_synchronised_apart, 1, 0, 32); }},
      {"two blocks write one place", "race", [] { on_64(blocks_write_one_place, 4); }},
      {"a block reads another's result", "race", [] { on_64(block_reads_anothers_result, 4); }},
      {"a counter without atomics", "race", [] { on_64(counted_without_atomic); }},
      {"an atomic beside a plain write", "race", [] { on_64(atomic_beside_plain); }},
      {"the next tile stored before all have read", "race", [] { on_64(no_barrier_after_the_tile); }},
      {"__syncwarp between warps", "race", [] { on_64(syncwarp_between_warps); }},
      {"one value written by all", "race", [] { on_64(same_value_by_all); }},
      {"a shared index off by one", "out of bounds", [] { on_64(shared_off_by_one, 1, 0, 32); }},
      {"a read past an allocation", "out of bounds", [] { on_64(reads_past_the_end); }},
      {"a write before an allocation", "out of bounds", [] { on_64(writes_before_the_start); }},
      {"less dynamic shared memory than used", "out of bounds",
       [] { on_64(too_little_dynamic_shared, 1, 252); }},
      {"host memory in a kernel", "out of bounds",
       [] {
         const std::vector<int> host(1, 3);
         Memory<int> out(64, 0);
         launch(reads_host_memory, dim3(1), dim3(32), 0, nullptr, host.data(), out.data());
       }},
      {"memory used after it was freed", "out of bounds",
       [] {
         int* gone = nullptr;
         {
           Memory<int> out(64, 0);
           gone = out.data();
         }
         launch(same_value_by_all, dim3(1), dim3(1), 0, nullptr, gone);
       }},
      {"a variable of the program written", "out of bounds", [] { on_64(writes_program_data); }},
      {"a vector load that is not aligned", "misaligned", [] { on_64(misaligned_vector, 1, 0, 1); }},
      {"a copy whose source is not aligned", "misaligned", [] { on_64(misaligned_copy); }},
      {"a matrix row that is not aligned", "misaligned", [] { on_64(misaligned_matrix_row, 1, 0, 32); }},
      {"shared memory that nobody wrote", "uninitialised", [] { on_64(reads_unwritten_shared); }},
      {"global memory that nobody wrote", "uninitialised",
       [] {
         Memory<int> out(64);
         launch(reads_unwritten_global, dim3(1), dim3(64), 0, nullptr, out.data());
       }},
      {"a copied byte read before the wait", "async", [] { copying(reads_before_the_wait); }},
      {"a wait that leaves one group too many", "async", [] { copying(waits_for_too_few); }},
      {"a copy that was never committed", "async", [] { copying(uncommitted_copy); }},
      {"another's copy read after one's own wait", "race", [] { copying(waits_without_barrier); }},
      {"a copy of twenty bytes", "out of bounds", [] { copying(copies_too_much); }},
      {"a shuffle by eight lanes under a full mask", "divergence",
       [] { on_64(shuffle_by_some_under_full_mask, 1, 0, 32); }},
      {"a mask that omits the caller", "divergence", [] { on_64(mask_omits_the_caller, 1, 0, 32); }},
      {"a shuffle from a lane outside of the mask", "divergence",
       [] { on_64(source_outside_the_mask, 1, 0, 32); }},
      {"a block at two barriers", "divergence", [] { on_64(two_barriers); }},
      {"a return before a barrier", "divergence", [] { on_64(return_before_the_barrier); }},
      {"lanes of a warp in two operations", "divergence", [] { on_64(lanes_in_two_operations, 1, 0, 32); }},
      {"some at a barrier, others in a shuffle with them", "divergence",
       [] { on_64(barrier_against_warp_operation, 1, 0, 32); }},
      {"a fill past an allocation", "out of bounds",
       [] {
         Memory<int> out(8);
         cudaMemset(out.data(), 0, 9 * sizeof(int));
       }},
      {"a result fetched that nobody wrote", "uninitialised", [] { Memory<int>(8).host(); }},
      {"an allocation while a stream captures", "stream",
       [] {
         cudaStream_t stream = nullptr;
         cudaGraph_t graph = nullptr;
         cudaStreamCreate(&stream);
         cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
         void* memory = nullptr;
         cudaMalloc(&memory, 8);
         cudaStreamEndCapture(stream, &graph);
         cudaGraphDestroy(graph);
         cudaStreamDestroy(stream);
       }},
      {"a wait for a stream that captures", "stream",
       [] {
         cudaStream_t stream = nullptr;
         cudaGraph_t graph = nullptr;
         cudaStreamCreate(&stream);
         cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
         cudaStreamSynchronize(stream);
         cudaStreamEndCapture(stream, &graph);
         cudaGraphDestroy(graph);
         cudaStreamDestroy(stream);
       }},
  };
}

}  // namespace simt
