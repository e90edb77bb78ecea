#pragma once

#include <cstdint>
#include <functional>

namespace unisim {

/// Runs work(0) ... work(count - 1), each once, on up to `threads` threads of which the caller's is one, and
/// returns when all have ended. `done` is called on the caller's thread alone, after some of its tasks and
/// not after the last of all, with the number of tasks ended so far. The first exception of any of them stops
/// what has not started and is thrown here.
void run_tasks(int64_t count, int threads, const std::function<void(int64_t)>& work,
               const std::function<void(int64_t)>& done = {});

}  // namespace unisim
