#pragma once

#include <cstdint>
#include <vector>

/// Small kernels on purpose right or wrong, for the emulated device's own tests.
namespace simt {

struct Case {
  const char* claim;
  const char* finding;  ///< its kind, which report() must hold; "" for a sound one
  void (*run)();
};
std::vector<Case> faulty_cases();
std::vector<Case> sound_cases();

// The wrappers of device.cuh, each as a kernel of one warp over device memory.
void run_ldmatrix(int count, bool transposed, const uint16_t* matrices, uint32_t* r);
void run_mma(int element, const void* a, const void* b, void* d);
void run_shuffle(int from, int width, const int* values, const int* by, int* out);
void run_reduce(int fold, const int* values, int* out);
void run_votes(const int* predicates, unsigned* out);
void run_arithmetic(const float* x, const float* y, float* out);

}  // namespace simt
