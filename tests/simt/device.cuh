#pragma once

// The device vocabulary for the host compiler: the names of cuda/nvidia/device.cuh and of CUDA that kernels may use,
// on the emulated device. What is not here does not compile, on purpose.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <tuple>
#include <type_traits>

#include "emulate.h"

#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __forceinline__
#define __forceinline__ inline __attribute__((always_inline))

#define threadIdx (::simt::thread_index())
#define blockIdx (::simt::block_index())
#define blockDim (::simt::block_shape())
#define gridDim (::simt::grid_shape())

#define SIMT_HERE ::simt::Site{__FILE__, __LINE__, nullptr}

#define __syncthreads() ::simt::sync_block(SIMT_HERE)
#define __syncwarp(...) ::simt::sync_warp(SIMT_HERE __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_sync(...) ::simt::shuffle<::simt::From::Index>(SIMT_HERE, __VA_ARGS__)
#define __shfl_xor_sync(...) ::simt::shuffle<::simt::From::Xor>(SIMT_HERE, __VA_ARGS__)
#define __shfl_up_sync(...) ::simt::shuffle<::simt::From::Up>(SIMT_HERE, __VA_ARGS__)
#define __shfl_down_sync(...) ::simt::shuffle<::simt::From::Down>(SIMT_HERE, __VA_ARGS__)
#define __ballot_sync(...) ::simt::ballot(SIMT_HERE, __VA_ARGS__)
#define __any_sync(mask, predicate) (::simt::ballot(SIMT_HERE, mask, predicate) != 0)
#define __all_sync(mask, predicate) (::simt::ballot(SIMT_HERE, mask, predicate) == (mask))
#define __reduce_add_sync(...) ::simt::reduce<::simt::Fold::Add>(SIMT_HERE, __VA_ARGS__)
#define __reduce_min_sync(...) ::simt::reduce<::simt::Fold::Min>(SIMT_HERE, __VA_ARGS__)
#define __reduce_max_sync(...) ::simt::reduce<::simt::Fold::Max>(SIMT_HERE, __VA_ARGS__)
#define __reduce_and_sync(...) ::simt::reduce<::simt::Fold::And>(SIMT_HERE, __VA_ARGS__)
#define __reduce_or_sync(...) ::simt::reduce<::simt::Fold::Or>(SIMT_HERE, __VA_ARGS__)
#define __reduce_xor_sync(...) ::simt::reduce<::simt::Fold::Xor>(SIMT_HERE, __VA_ARGS__)
#define atomicAdd(...) ::simt::atomic_add(__VA_ARGS__)
#define atomicMax(...) ::simt::atomic_max(__VA_ARGS__)
#define atomicMin(...) ::simt::atomic_min(__VA_ARGS__)
#define atomicCAS(...) ::simt::atomic_cas(__VA_ARGS__)
#define atomicExch(...) ::simt::atomic_exchange(__VA_ARGS__)

// glibc has functions of this name.
#define __expf(x) ::std::exp(float(x))
#define __fdividef(x, y) ((x) / (y))
#define __logf(x) ::std::log(float(x))

#define SHARED_ARRAY(type, name, size)    \
  auto& name = *static_cast<type(*)[size]>( \
      ::simt::shared_array(__FILE__, __LINE__, sizeof(type) * static_cast<std::size_t>(size)))

/// A launch is called by its text, for tables and messages.
#define launch(...) launch_as(#__VA_ARGS__, __VA_ARGS__)

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline float __fsqrt_ru(float x) {
  const float root = std::sqrt(x);
  return double{root} * root < x ? std::nextafter(root, HUGE_VALF) : root;
}
inline double __dmul_rn(double x, double y) { return x * y; }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dsub_rn(double x, double y) { return x - y; }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline double __dsqrt_rn(double x) { return std::sqrt(x); }
inline double __fma_rn(double x, double y, double z) { return std::fma(x, y, z); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(unsigned x) { return std::countl_zero(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __brev(unsigned x) {
  unsigned y = 0;
  for (int k = 0; k < 32; ++k) y |= (x >> k & 1u) << (31 - k);
  return y;
}
inline int __dp4a(int a, int b, int c) {
  for (int k = 0; k < 4; ++k)
    c += static_cast<int8_t>(static_cast<unsigned>(a) >> (8 * k)) * static_cast<int8_t>(static_cast<unsigned>(b) >> (8 * k));
  return c;
}
template <class T>
inline T __ldg(const T* p) {
  return *p;
}
using std::isfinite;
using std::isinf;
using std::isnan;
template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  using C = std::common_type_t<A, B>;
  return C(b) < C(a) ? C(b) : C(a);
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  using C = std::common_type_t<A, B>;
  return C(a) < C(b) ? C(b) : C(a);
}

namespace unisim {

template <class... Params, class... Args>
void launch_as(const char* text, void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t shared_bytes,
               void* stream, Args... args) {
  using Arguments = std::tuple<void (*)(Params...), std::tuple<std::remove_cv_t<Params>...>>;
  static_assert((std::is_trivially_copyable_v<std::remove_cv_t<Params>> && ...), "a kernel takes plain values");
  auto arguments =
      std::make_shared<const Arguments>(kernel, std::tuple<std::remove_cv_t<Params>...>(static_cast<Params>(args)...));
  const void* packed = arguments.get();
  ::simt::queue_launch({::simt::kernel_text(text),
                        reinterpret_cast<const void*>(kernel),
                        {grid.x, grid.y, grid.z},
                        {block.x, block.y, block.z},
                        shared_bytes,
                        stream},
                       {[](const void* at) {
                          const auto& [function, values] = *static_cast<const Arguments*>(at);
                          std::apply(function, values);
                        },
                        std::shared_ptr<const void>(arguments, packed), sizeof(Arguments)});
}

inline unsigned char* dynamic_shared() { return ::simt::dynamic_memory(); }

template <class V>
SIMT_ACCESS V load_as(const void* from) {
  ::simt::access(from, sizeof(V), ::simt::Access::Read, {nullptr, 0, __builtin_return_address(0)});
  V value;
  std::memcpy(&value, from, sizeof(V));
  return value;
}
template <class V>
SIMT_ACCESS void store_as(void* to, V value) {
  ::simt::access(to, sizeof(V), ::simt::Access::Write, {nullptr, 0, __builtin_return_address(0)});
  std::memcpy(to, &value, sizeof(V));
}

SIMT_ACCESS inline void cp_async16(void* shared, const void* global, int bytes = 16) {
  ::simt::issue_copy(shared, global, bytes, {nullptr, 0, __builtin_return_address(0)});
}
inline void cp_async_commit() { ::simt::commit_copies(); }
template <int pending>
SIMT_ACCESS void cp_async_wait() {
  ::simt::wait_copies(pending, {nullptr, 0, __builtin_return_address(0)});
}

#define ldmatrix_x1(r, row) ldmatrix_at<1, false>(SIMT_HERE, r, row)
#define ldmatrix_x2(r, row) ldmatrix_at<2, false>(SIMT_HERE, r, row)
#define ldmatrix_x4(r, row) ldmatrix_at<4, false>(SIMT_HERE, r, row)
#define ldmatrix_x1_trans(r, row) ldmatrix_at<1, true>(SIMT_HERE, r, row)
#define ldmatrix_x2_trans(r, row) ldmatrix_at<2, true>(SIMT_HERE, r, row)
#define ldmatrix_x4_trans(r, row) ldmatrix_at<4, true>(SIMT_HERE, r, row)
template <int count, bool transposed>
void ldmatrix_at(::simt::Site where, uint32_t (&r)[count], const void* row) {
  ::simt::load_matrices(where, count, transposed, r, row);
}

#define mma_bf16(d, a, b) mma_at(SIMT_HERE, ::simt::Element::Bf16, d, a, b)
#define mma_f16(d, a, b) mma_at(SIMT_HERE, ::simt::Element::F16, d, a, b)
#define mma_s8(d, a, b) mma_at(SIMT_HERE, ::simt::Element::S8, d, a, b)
template <class D>
void mma_at(::simt::Site where, ::simt::Element element, D (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  static_assert(sizeof(D) == 4);
  ::simt::multiply(where, element, d, a, b);
}

inline float exp2_approx(float x) {
  const float y = std::exp2(x);
  return std::fpclassify(y) == FP_SUBNORMAL ? 0.0f : y;
}

}  // namespace unisim
