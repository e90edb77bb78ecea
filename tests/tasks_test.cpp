#include "tasks.h"

#include <atomic>
#include <thread>

#include "support.h"

using unisim::run_tasks;

TEST_CASE("every task runs once, with any number of threads", "[tasks]") {
  const int threads = GENERATE(0, 1, 2, 7);
  const int64_t count = GENERATE(0, 1, 2, 1000);
  std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
  run_tasks(count, threads, [&](int64_t task) { ++runs[static_cast<std::size_t>(task)]; });
  for (const auto& times : runs) CHECK(times == 1);
}

TEST_CASE("done is called on the caller's thread alone, upwards and never with the total", "[tasks]") {
  const auto caller = std::this_thread::get_id();
  int64_t last = 0;
  run_tasks(
      200, 4, [](int64_t) {},
      [&](int64_t done) {
        CHECK(std::this_thread::get_id() == caller);
        CHECK(done > last);
        CHECK(done < 200);
        last = done;
      });
}

TEST_CASE("the first exception stops what has not started and is thrown to the caller", "[tasks]") {
  std::atomic<int> runs = 0;
  const int threads = GENERATE(1, 4);
  const auto fail = [&](int64_t) {
    ++runs;
    throw std::runtime_error("a task failed");
  };
  CHECK_THROWS_WITH(run_tasks(1000000, threads, fail), "a task failed");
  CHECK(runs <= threads);
}

TEST_CASE("an exception from done stops the other threads too", "[tasks]") {
  std::atomic<int> runs = 0;
  const auto stop = [](int64_t) { throw std::runtime_error("stopped"); };
  CHECK_THROWS_WITH(run_tasks(
                        int64_t{1} << 40, 3, [&](int64_t) { ++runs; }, stop),
                    "stopped");
  CHECK(runs > 0);
}
