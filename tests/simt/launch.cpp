// Launches: what a device would refuse, the blocks one after another in the order of the seed.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <string>

#include "emulate.h"
#include "runtime.h"

namespace simt {

std::vector<uint64_t> seeds() {
  const char* given = std::getenv("UNISIM_SEEDS");
  std::vector<uint64_t> all(given ? std::max(1ul, std::strtoul(given, nullptr, 10)) : 8);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

namespace {

uint3 as_uint3(Index i) { return {i.x, i.y, i.z}; }

bool refused(const LaunchShape& shape) {
  const Index &g = shape.grid, &b = shape.block;
  const bool empty = g.x == 0 || g.y == 0 || g.z == 0 || b.x == 0 || b.y == 0 || b.z == 0;
  return empty || uint64_t{b.x} * b.y * b.z > kMaxThreads || b.z > 64 || g.x > 2147483647u || g.y > 65535 ||
         g.z > 65535 || shape.dynamic_bytes > allowed_shared(shape.function);
}

/// The blocks' order: forwards, backwards, or permuted.
std::vector<uint32_t> block_order(uint64_t blocks) {
  std::vector<uint32_t> order(blocks);
  std::iota(order.begin(), order.end(), 0u);
  if (options.seed == 1) std::reverse(order.begin(), order.end());
  if (options.seed > 1) std::shuffle(order.begin(), order.end(), machine.random);
  return order;
}

void drop_copies(Thread& thread) {
  current = &thread;
  commit_copies();
  wait_copies(0, {});
  current = nullptr;
}

}  // namespace

uint3 thread_index() { return as_uint3(current->id); }
uint3 block_index() { return as_uint3(machine.block_id); }
dim3 block_shape() { return {machine.block.x, machine.block.y, machine.block.z}; }
dim3 grid_shape() { return {machine.grid.x, machine.grid.y, machine.grid.z}; }

std::string kernel_text(const char* launch) {
  int depth = 0;
  std::string text;
  for (const char* c = launch; *c; ++c) {
    if (*c == '<' || *c == '(') ++depth;
    if (*c == '>' || *c == ')') --depth;
    if (*c == ',' && depth == 0) break;
    text += *c;
  }
  return text;
}

void queue_launch(const LaunchShape& shape, LaunchBody body) {
  note("launch " + shape.kernel, shape.stream);
  if (refused(shape)) return set_error(cudaErrorInvalidConfiguration);
  enqueue(shape.stream, [shape, body] { run_launch(shape, body); });
}

void run_launch(const LaunchShape& shape, const LaunchBody& body) {
  machine.kernel = shape.kernel;
  machine.grid = shape.grid;
  machine.block = shape.block;
  machine.dynamic_bytes = shape.dynamic_bytes;
  machine.arguments = body.arguments.get();
  machine.argument_bytes = body.size;
  machine.threads = shape.block.x * shape.block.y * shape.block.z;
  machine.abandoned = false;
  machine.launch_era = ++machine.era;
  machine.random.seed(options.seed * 0x9e3779b97f4a7c15ull + 1);
  const Index& g = shape.grid;
  for (const uint32_t block : block_order(uint64_t{g.x} * g.y * g.z)) {
    machine.block_id = {block % g.x, block / g.x % g.y, block / g.x / g.y};
    machine.block_era = ++machine.era;
    begin_block_memory();
    run_block(body.run, body.arguments.get());
    if (options.count) count_block_end();
    for (unsigned k = 0; k < machine.threads; ++k) drop_copies(thread_at(k));
    if (machine.abandoned) break;
  }
  ++machine.era;
  machine.kernel.clear();
}

}  // namespace simt
