#include "tasks.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace unisim {
namespace {

/// What the threads of one run share.
struct Run {
  const int64_t count;
  const std::function<void(int64_t)>& work;
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> ended{0};
  std::mutex guard;
  std::exception_ptr error;

  /// Takes tasks until none is left; `done` only where this is the caller's thread.
  void take(const std::function<void(int64_t)>* done) noexcept {
    try {
      for (int64_t task = next++; task < count; task = next++) {
        work(task);
        const int64_t sum = ++ended;
        if (done && *done && sum < count) (*done)(sum);
      }
    } catch (...) {
      next = count;
      const std::lock_guard lock(guard);
      if (!error) error = std::current_exception();
    }
  }
};

}  // namespace

void run_tasks(int64_t count, int threads, const std::function<void(int64_t)>& work,
               const std::function<void(int64_t)>& done) {
  Run run{.count = count, .work = work, .guard = {}, .error = {}};
  {
    std::vector<std::jthread> others;
    const int64_t extra = std::min<int64_t>(threads, count) - 1;
    try {
      for (int64_t k = 0; k < extra; ++k) others.emplace_back([&run] { run.take(nullptr); });
    } catch (const std::system_error&) {
      // A system that grants no further thread: those we have do the work.
    }
    run.take(&done);
  }
  if (run.error) std::rethrow_exception(run.error);
}

}  // namespace unisim
