// cosine over all pairs of two sets, and row by row; "pairs" and "bytes" are what must be computed and moved.

#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>
#include <unisim/similarity.h>

namespace {

void cosine(benchmark::State& state) {
  const int64_t n = state.range(0), width = state.range(1);
  const at::Tensor a = at::randn({n, width}), b = at::randn({n, width});
  for (auto _ : state) benchmark::DoNotOptimize(unisim::cosine(a, b));
  state.SetItemsProcessed(state.iterations() * n * n);
  state.counters["flop/s"] = benchmark::Counter(2.0 * static_cast<double>(n * n * width),
                                                benchmark::Counter::kIsIterationInvariantRate);
}

void cosine_rows(benchmark::State& state) {
  const int64_t n = state.range(0), width = state.range(1);
  const at::Tensor a = at::randn({n, width}), b = at::randn({n, width});
  for (auto _ : state) benchmark::DoNotOptimize(unisim::cosine_rows(a, b));
  state.SetItemsProcessed(state.iterations() * n);
  state.SetBytesProcessed(state.iterations() * n * width * 2 * 4);
}

}  // namespace

BENCHMARK(cosine)->Args({100, 768})->Args({1000, 768})->Args({1000, 4096})->Unit(benchmark::kMillisecond);
BENCHMARK(cosine_rows)->Args({100, 768})->Args({10000, 768})->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
