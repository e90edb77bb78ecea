// The product of cuda/blas.h for the emulated device: plain sums in float, on the host, in a stream's order.

#include "blas.h"

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "half.h"
#include "machine.h"
#include "runtime.h"
#include "streams.h"

namespace unisim {
namespace {

/// Numbers of the streams that have what a library would allocate for each; 0 is the default stream's.
std::set<int> prepared;

/// As a library may that picks its kernel by the shape: few rows are summed in several runs of k, so that who
/// needs the same bits in any batch must ask for them.
int64_t runs_of(const Gemm& g) { return g.batch_invariant || g.m > 48 ? 1 : g.m > 12 ? 2 : 3; }

/// rows x width numbers as floats, side by side.
template <class T>
std::vector<float> read(GemmRows<const void> from, int64_t rows, int64_t width) {
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(rows * width));
  for (int64_t i = 0; i < rows; ++i) {
    const T* row = static_cast<const T*>(from.data) + i * from.stride;
    simt::host_reads(row, static_cast<std::size_t>(width) * sizeof(T), "gemm");
    for (int64_t k = 0; k < width; ++k) values.push_back(to_float(row[k]));
  }
  return values;
}

/// [rows, width] transposed.
std::vector<float> turned(const std::vector<float>& values, int64_t rows, int64_t width) {
  std::vector<float> out(values.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < width; ++k)
      out[static_cast<std::size_t>(k * rows + i)] = values[static_cast<std::size_t>(i * width + k)];
  return out;
}

/// sums[j] += the products of one row of a with column j, k by k.
void add_products(const float* row, const float* columns, int64_t first, int64_t last, int64_t n,
                  float* sums) {
  for (int64_t k = first; k < last; ++k)
    for (int64_t j = 0; j < n; ++j) sums[j] += row[k] * columns[k * n + j];
}

template <class T>
void multiply(const Gemm& g) {
  const std::vector<float> a = read<T>(g.a, g.m, g.k),
                           columns = turned(read<T>(g.weight, g.n, g.k), g.n, g.k);
  std::vector<float> bias(static_cast<std::size_t>(g.n)), residual;
  if (g.bias) bias = read<T>({g.bias, 0}, 1, g.n);
  if (g.residual.data) residual = read<T>(g.residual, g.m, g.n);
  const int64_t runs = runs_of(g);
  for (int64_t i = 0; i < g.m; ++i) {
    std::vector<float> total(static_cast<std::size_t>(g.n));
    for (int64_t r = 0; r < runs; ++r) {
      std::vector<float> sums(static_cast<std::size_t>(g.n));
      add_products(a.data() + i * g.k, columns.data(), g.k * r / runs, g.k * (r + 1) / runs, g.n,
                   sums.data());
      for (std::size_t j = 0; j < sums.size(); ++j) total[j] += sums[j];
    }
    T* out = static_cast<T*>(g.out.data) + i * g.out.stride;
    simt::host_wrote(out, static_cast<std::size_t>(g.n) * sizeof(T), "gemm");
    for (std::size_t j = 0; j < total.size(); ++j) {
      const float old = g.residual.data ? residual[static_cast<std::size_t>(i * g.n) + j] : 0.0f;
      out[j] = rounded<T>(total[j] + bias[j] + old);
    }
  }
}

}  // namespace

void prepare_gemm(void* stream) {
  const int number = stream ? simt::number_of(stream) : 0;
  if (prepared.contains(number)) return;
  if (simt::captures(stream))
    throw std::runtime_error(
        "[product] the stream is being recorded, and nobody has called prepare_products");
  prepared.insert(number);
}

void release_gemm(void* stream) noexcept { prepared.erase(stream ? simt::number_of(stream) : 0); }

void gemm(const Gemm& g, void* stream) {
  prepare_gemm(stream);
  simt::note("gemm " + std::to_string(g.m) + " x " + std::to_string(g.n) + " x " + std::to_string(g.k),
             stream);
  simt::enqueue(stream, [g] {
    switch (g.type) {
      case GemmType::Float:
        return multiply<float>(g);
      case GemmType::Bf16:
        return multiply<bf16>(g);
      case GemmType::F16:
        return multiply<f16>(g);
    }
  });
}

}  // namespace unisim
