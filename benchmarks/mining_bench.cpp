// mine_blind_pairs: pairs looked at in a second, where few pass the first threshold and where one in ten
// does; and the mixtures of features by the bytes that they must move.

#include <ATen/ops/add.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>
#include <unisim/fusion.h>
#include <unisim/mining.h>

namespace {

void mine(benchmark::State& state, double above) {
  const int64_t n = state.range(0), width = state.range(1);
  const at::Tensor alike = at::randn({n, width}), apart = at::randn({n, width});
  std::size_t pairs = 0;
  for (auto _ : state)
    pairs = unisim::mine_blind_pairs(alike, apart, {.alike_above = above, .apart_below = 0.0}).size();
  const double looked_at = static_cast<double>(n) * static_cast<double>(n - 1) / 2;
  state.counters["pairs/s"] = benchmark::Counter(looked_at, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["flop/s"] = benchmark::Counter(2 * looked_at * static_cast<double>(width),
                                                benchmark::Counter::kIsIterationInvariantRate);
  state.counters["found"] = static_cast<double>(pairs);
}

void few_pass(benchmark::State& state) { mine(state, 0.95); }
void many_pass(benchmark::State& state) {
  mine(state, 1.28 / std::sqrt(static_cast<double>(state.range(1))));
}

void additive_mof(benchmark::State& state) {
  const at::Tensor a = at::randn({state.range(0), 576, 1024}), b = at::randn({state.range(0), 576, 1024});
  for (auto _ : state) benchmark::DoNotOptimize(unisim::additive_mof(a, b, 0.25));
  state.SetBytesProcessed(state.iterations() * a.numel() * 3 * 4);
}

void interleaved_mof(benchmark::State& state) {
  const at::Tensor a = at::randn({state.range(0), 576, 1024}), b = at::randn({state.range(0), 576, 1024});
  for (auto _ : state) benchmark::DoNotOptimize(unisim::interleaved_mof(a, b));
  state.SetBytesProcessed(state.iterations() * a.numel() * 4 * 4);
}

}  // namespace

BENCHMARK(few_pass)->Args({2000, 768})->Args({10000, 768})->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(many_pass)->Args({2000, 768})->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(additive_mof)->Arg(1)->Arg(16)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(interleaved_mof)->Arg(1)->Arg(16)->UseRealTime()->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
