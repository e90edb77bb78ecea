// Kernels without a fault, close to those of faulty.cu: nothing may be found in them. And each wrapper as a
// kernel.

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

__global__ void neighbours_with_barrier(int* out) {
  SHARED_ARRAY(int, part, 64);
  part[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = part[63 - threadIdx.x];
}
__global__ void lanes_with_syncwarp(int* out) {
  SHARED_ARRAY(int, part, 64);
  for (int step = 0; step < 3; ++step) {
    part[threadIdx.x] = step;
    __syncwarp();
    out[threadIdx.x] = part[threadIdx.x ^ 31];
    __syncwarp();
  }
}
__global__ void halves_on_their_own(int* out) {
  SHARED_ARRAY(int, part, 32);
  const unsigned mask = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
  for (unsigned step = 0; step <= threadIdx.x / 16; ++step) {
    part[threadIdx.x] = 1;
    __syncwarp(mask);
    out[threadIdx.x] = part[threadIdx.x ^ 15];
    __syncwarp(mask);
  }
  __syncwarp();
  out[threadIdx.x] = part[31 - threadIdx.x];
}
__global__ void halves_then_whole(int* out) {
  SHARED_ARRAY(int, part, 32);
  part[threadIdx.x] = 1;
  if (threadIdx.x < 16) __syncwarp(0x0000ffffu);
  __syncwarp();
  out[threadIdx.x] = part[31 - threadIdx.x];
  __syncwarp();
  part[threadIdx.x] = 2;
}
__global__ void blocks_count_together(int* out) { atomicAdd(&out[0], 1); }
__global__ void blocks_read_one_place(const int* in, int* out) {
  out[blockIdx.x * blockDim.x + threadIdx.x] = in[0] + in[threadIdx.x];
}
__global__ void tiles_with_both_barriers(int* out) {
  SHARED_ARRAY(int, tile, 64);
  int sum = 0;
  for (int step = 0; step < 3; ++step) {
    tile[threadIdx.x] = step;
    __syncthreads();
    sum += tile[63 - threadIdx.x];
    __syncthreads();
  }
  out[threadIdx.x] = sum;
}
__global__ void exact_dynamic_shared(int* out) {
  auto* part = reinterpret_cast<int*>(dynamic_shared());
  part[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = part[63 - threadIdx.x];
}
__global__ void two_groups_in_flight(const int* in, int* out) {
  SHARED_ARRAY(int, part, 256);
  cp_async16(part + 4 * threadIdx.x, in + 4 * threadIdx.x);
  cp_async_commit();
  int sum = 0;
  for (unsigned k = 0; k < 3; ++k) {
    if (k + 1 < 3)
      cp_async16(part + 128 * ((k + 1) % 2) + 4 * threadIdx.x, in + 4 * threadIdx.x, k == 0 ? 16 : 8);
    cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    sum += part[128 * (k % 2) + 4 * (31 - threadIdx.x)];
    __syncthreads();
  }
  out[threadIdx.x] = sum;
}
__global__ void own_copy_after_the_wait(const int* in, int* out) {
  SHARED_ARRAY(int, part, 128);
  cp_async16(part + 4 * threadIdx.x, in + 4 * threadIdx.x, 0);
  cp_async_commit();
  cp_async_wait<0>();
  out[threadIdx.x] = part[4 * threadIdx.x + 3];
}
__global__ void shuffle_in_a_named_part(int* out) {
  if (threadIdx.x < 8) out[threadIdx.x] = __shfl_xor_sync(0xffu, 1, 4, 8);
}
__global__ void partial_warp(int* out) {
  const unsigned mask = threadIdx.x < 32 ? ~0u : 0xffu;
  out[threadIdx.x] = __shfl_xor_sync(mask, static_cast<int>(threadIdx.x), 1);
}
__global__ void warps_return_early(int* out) {
  if (threadIdx.x >= 32) return;
  out[threadIdx.x] = static_cast<int>(__reduce_add_sync(~0u, threadIdx.x));
}
__global__ void blocks_return_early(int* out) {
  SHARED_ARRAY(int, part, 64);
  if (blockIdx.x > 0) return;
  part[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = part[63 - threadIdx.x];
}
struct Pair {
  int first[3];
  const int* second;
};
__global__ void structs_and_locals(Pair pair, int* out) {
  int local[8];
  for (int k = 0; k < 8; ++k) local[(k + static_cast<int>(threadIdx.x)) % 8] = k + pair.first[k % 3];
  constexpr int table[4] = {5, 6, 7, 8};
  out[threadIdx.x] = local[threadIdx.x % 8] + pair.second[0] + table[threadIdx.x % 4];
}
__global__ void compare_and_swap(int* out) {
  int seen = 0;
  while ((seen = atomicCAS(&out[1], 0, 1)) != 0) break;
  if (seen == 0) atomicMax(&out[2], static_cast<int>(threadIdx.x));
}
__global__ void read_then_barrier_then_write(int* out) {
  const int mine = out[(threadIdx.x + 1) % 64];
  __syncthreads();
  out[threadIdx.x] = mine;
}
__global__ void add_one(int* out) { ++out[threadIdx.x]; }

}  // namespace

std::vector<Case> sound_cases() {
  return {
      {"shared memory with a barrier", "", [] { on_64(neighbours_with_barrier); }},
      {"lanes with __syncwarp", "", [] { on_64(lanes_with_syncwarp); }},
      {"half-warps on their own, then together", "", [] { on_64(halves_on_their_own, 1, 0, 32); }},
      {"one half synchronised more often", "", [] { on_64(halves_then_whole, 1, 0, 32); }},
      {"blocks count with atomics", "", [] { on_64(blocks_count_together, 4); }},
      {"blocks read one place", "",
       [] {
         Memory<int> in(64, 1), out(256, 0);
         launch(blocks_read_one_place, dim3(4), dim3(64), 0, nullptr, in.data(), out.data());
       }},
      {"tiles between two barriers", "", [] { on_64(tiles_with_both_barriers); }},
      {"dynamic shared memory to its end", "", [] { on_64(exact_dynamic_shared, 1, 256); }},
      {"two groups of copies in flight", "", [] { copying(two_groups_in_flight); }},
      {"one's own copy after the wait", "", [] { copying(own_copy_after_the_wait); }},
      {"a shuffle among the lanes of its mask", "", [] { on_64(shuffle_in_a_named_part, 1, 0, 32); }},
      {"a block that ends within a warp", "", [] { on_64(partial_warp, 1, 0, 40); }},
      {"warps that return before others' warp operations", "", [] { on_64(warps_return_early); }},
      {"blocks that return whole before a barrier", "", [] { on_64(blocks_return_early, 3); }},
      {"structs by value, local arrays, constants", "",
       [] {
         Memory<int> in(1, 3), out(64, 0);
         launch(structs_and_locals, dim3(1), dim3(64), 0, nullptr, Pair{{1, 2, 3}, in.data()}, out.data());
       }},
      {"compare and swap", "", [] { on_64(compare_and_swap); }},
      {"reads, a barrier, writes", "", [] { on_64(read_then_barrier_then_write); }},
      {"launch after launch on the same memory", "",
       [] {
         Memory<int> out(64, 0);
         for (int k = 0; k < 3; ++k) launch(add_one, dim3(1), dim3(64), 0, nullptr, out.data());
       }},
  };
}

namespace {

template <int count, bool transposed>
__global__ void load_matrix(const uint16_t* matrices, uint32_t* out) {
  SHARED_ARRAY(uint16_t, rows, 4 * 64);
  for (unsigned k = threadIdx.x; k < 64 * count; k += 32) rows[k] = matrices[k];
  __syncthreads();
  uint32_t r[count];
  unisim::ldmatrix_at<count, transposed>(SIMT_HERE, r, rows + threadIdx.x % (8 * count) * 8);
  for (int k = 0; k < count; ++k) out[threadIdx.x * count + static_cast<unsigned>(k)] = r[k];
}

template <class D>
__global__ void multiply_once(int element, const uint32_t* a, const uint32_t* b, D* d) {
  uint32_t fa[4], fb[2];
  D fd[4];
  for (unsigned k = 0; k < 4; ++k) fa[k] = a[4 * threadIdx.x + k];
  for (unsigned k = 0; k < 2; ++k) fb[k] = b[2 * threadIdx.x + k];
  for (unsigned k = 0; k < 4; ++k) fd[k] = d[4 * threadIdx.x + k];
  unisim::mma_at(SIMT_HERE, static_cast<Element>(element), fd, fa, fb);
  for (unsigned k = 0; k < 4; ++k) d[4 * threadIdx.x + k] = fd[k];
}

__global__ void shuffle_once(int from, int width, const int* values, const int* by, int* out) {
  const int value = values[threadIdx.x];
  const int step = by[threadIdx.x];
  int got = 0;
  if (from == 0) got = __shfl_sync(~0u, value, static_cast<unsigned>(step), width);
  if (from == 1) got = __shfl_xor_sync(~0u, value, static_cast<unsigned>(step), width);
  if (from == 2) got = __shfl_up_sync(~0u, value, static_cast<unsigned>(step), width);
  if (from == 3) got = __shfl_down_sync(~0u, value, static_cast<unsigned>(step), width);
  out[threadIdx.x] = got;
}

__global__ void reduce_once(int fold, const int* values, int* out) {
  const int value = values[threadIdx.x];
  int got = 0;
  if (fold == 0) got = __reduce_add_sync(~0u, value);
  if (fold == 1) got = __reduce_min_sync(~0u, value);
  if (fold == 2) got = __reduce_max_sync(~0u, value);
  if (fold == 3) got = static_cast<int>(__reduce_and_sync(~0u, static_cast<unsigned>(value)));
  if (fold == 4) got = static_cast<int>(__reduce_or_sync(~0u, static_cast<unsigned>(value)));
  if (fold == 5) got = static_cast<int>(__reduce_xor_sync(~0u, static_cast<unsigned>(value)));
  out[threadIdx.x] = got;
}

__global__ void vote_once(const int* predicates, unsigned* out) {
  const bool mine = predicates[threadIdx.x] != 0;
  out[3 * threadIdx.x] = __ballot_sync(~0u, mine);
  out[3 * threadIdx.x + 1] = __any_sync(~0u, mine);
  out[3 * threadIdx.x + 2] = __all_sync(~0u, mine);
}

__global__ void arithmetic_once(const float* x, const float* y, float* out) {
  const float a = x[threadIdx.x], b = y[threadIdx.x];
  float* to = out + 8 * threadIdx.x;
  to[0] = rsqrtf(a);
  to[1] = __expf(b);
  to[2] = unisim::exp2_approx(b);
  to[3] = __fdividef(a, b);
  to[4] = fmaf(a, b, a);
  to[5] = static_cast<float>(__popc(__float_as_uint(a)) + 100 * __clz(__float_as_uint(a)) +
                             10000 * __ffs(__float_as_int(a)));
  to[6] = static_cast<float>(__dp4a(__float_as_int(a), __float_as_int(b), 7));
  to[7] = static_cast<float>(__float2int_rn(b));
}

}  // namespace

void run_ldmatrix(int count, bool transposed, const uint16_t* matrices, uint32_t* r) {
  void (*kernel)(const uint16_t*, uint32_t*) =
      count == 1   ? (transposed ? load_matrix<1, true> : load_matrix<1, false>)
      : count == 2 ? (transposed ? load_matrix<2, true> : load_matrix<2, false>)
                   : (transposed ? load_matrix<4, true> : load_matrix<4, false>);
  launch(kernel, dim3(1), dim3(32), 0, nullptr, matrices, r);
}
void run_mma(int element, const void* a, const void* b, void* d) {
  const auto* fa = static_cast<const uint32_t*>(a);
  const auto* fb = static_cast<const uint32_t*>(b);
  if (element == 2)
    launch(multiply_once<int32_t>, dim3(1), dim3(32), 0, nullptr, element, fa, fb, static_cast<int32_t*>(d));
  else
    launch(multiply_once<float>, dim3(1), dim3(32), 0, nullptr, element, fa, fb, static_cast<float*>(d));
}
void run_shuffle(int from, int width, const int* values, const int* by, int* out) {
  launch(shuffle_once, dim3(1), dim3(32), 0, nullptr, from, width, values, by, out);
}
void run_reduce(int fold, const int* values, int* out) {
  launch(reduce_once, dim3(1), dim3(32), 0, nullptr, fold, values, out);
}
void run_votes(const int* predicates, unsigned* out) {
  launch(vote_once, dim3(1), dim3(32), 0, nullptr, predicates, out);
}
void run_arithmetic(const float* x, const float* y, float* out) {
  launch(arithmetic_once, dim3(1), dim3(32), 0, nullptr, x, y, out);
}

}  // namespace simt
