#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "simt.h"

/// The state of the emulated device: threads, blocks, memory cells. One OS thread runs it all.
namespace simt {

constexpr unsigned kLanes = 32;
constexpr unsigned kMaxThreads = 1024;
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kStack = 256 * 1024;
#else
constexpr std::size_t kStack = 64 * 1024;
#endif

#if UNISIM_SIMT_HOOKS
constexpr bool all_seen = true;
#else
constexpr bool all_seen =
    false;  // only wrapped accesses are announced: order and initialisation cannot be judged
#endif

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

enum class Status : uint8_t { Ready, AtBarrier, AtMeeting, Done };

/// Where in a kernel: a line of its source, or an instruction of the program (watch.cpp finds the line).
struct Site {
  const char* file = nullptr;
  int line = 0;
  const void* instruction = nullptr;
};

/// Sixteen bytes on their way to shared memory.
struct AsyncCopy {
  unsigned char* to = nullptr;
  unsigned char bytes[16] = {};
  bool landed = false;
};

/// One CUDA thread.
struct Thread {
  void* stack_pointer = nullptr;
  unsigned char* stack = nullptr;  ///< lowest address
  void* context = nullptr;         ///< ucontext_t of the portable switch
  void* fake_stack = nullptr;      ///< AddressSanitizer's
  unsigned index = 0;              ///< in the block
  Index id;
  Status status = Status::Done;
  Site waits;                   ///< where, while it does
  uint32_t clock = 1;           ///< own time in the warp: one step per __syncwarp
  uint32_t knows[kLanes] = {};  ///< latest time of every lane that is ordered before now
  std::vector<AsyncCopy> open_copies;
  std::deque<std::vector<AsyncCopy>> groups;
  uint32_t epoch = 0;  ///< for counters: changes with every operation of the warp
  std::vector<std::pair<const void*, uint32_t>> occurrences;

  unsigned lane() const { return index % kLanes; }
  unsigned warp() const { return index / kLanes; }
};

/// What is known of one byte of device memory.
struct Cell {
  uint32_t write_era = 0, write_clock = 0;
  uint32_t read_era = 0, read_clock = 0, read_lanes = 0;
  uint16_t write_thread = 0, read_warp = 0;
  bool initialised = false;  ///< of global memory; in shared memory the era tells
  bool atomic = false;       ///< the last write was
  bool several_warps = false;
  bool earlier_block = false;  ///< read by an earlier block of the launch that last read it
  bool pending = false;        ///< a cp.async that writes it is unfinished
};

/// The launch and the block that run now.
struct Machine {
  std::string kernel;
  Index grid, block, block_id;
  std::size_t dynamic_bytes = 0;
  const void* arguments = nullptr;
  std::size_t argument_bytes = 0;
  unsigned threads = 0;
  uint32_t era = 1;  ///< rises with every block and every barrier, never falls
  uint32_t launch_era = 1, block_era = 1;
  unsigned live = 0, at_barrier = 0;
  Site barrier;
  bool abandoned = false;
  std::mt19937_64 random;
};
extern Machine machine;
/// The running CUDA thread; null in host code.
extern Thread* current;

/// Whether accesses are judged: while kernel code runs, not while the emulator does. Templates of the
/// standard library may be shared by both.
extern bool watching;
struct Inside {
  bool before = watching;
  Inside() { watching = false; }
  ~Inside() { watching = before; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
};

// ---- fiber.cpp
// ------------------------------------------------------------------------------------------------

Thread& thread_at(unsigned index);
/// Runs body(argument) as every thread of the block until all are done or the launch is abandoned.
void run_block(void (*body)(const void*), const void* argument);
/// Lets others run until this thread is ready again.
void wait_as(Status status, Site where);
void yield_sometimes();
void make_ready(Thread& thread);
/// Ends the launch: nothing after a fatal finding means anything.
[[noreturn]] void abandon();
void sync_block(Site where);

// ---- warp.cpp
// -------------------------------------------------------------------------------------------------

enum class Kind : uint8_t { SyncWarp, Shuffle, Vote, Reduce, LdMatrix, Mma };

struct Meeting {
  Kind kind = Kind::SyncWarp;
  uint32_t mask = 0, arrived = 0;
  Site where;
  void* slots[kLanes] = {};
};

/// Waits for the lanes of the mask; the last to come calls `compute`, which fills every lane's slot.
void meet(Kind kind, uint32_t mask, Site where, void* slot, void (*compute)(Meeting&));
void forget_meetings();

// ---- watch.cpp
// ------------------------------------------------------------------------------------------------

enum class Access : uint8_t { Read, Write, Atomic };

void access(const void* address, std::size_t size, Access kind, Site where);
/// The same, by another lane of the running warp.
void access_as(Thread& thread, const void* address, std::size_t size, Access kind, Site where);
/// A finding that does not end the launch; each (kind, place) once.
void find(const char* kind, Site where, const std::string& text);
[[noreturn]] void find_fatal(const char* kind, Site where, const std::string& text);
std::string place_of(Site where);
std::string name_of(const Thread& thread);
void begin_block_memory();
unsigned char* dynamic_memory();
void* shared_array(const char* file, int line, std::size_t bytes);
void issue_copy(void* shared, const void* global, int bytes, Site where);
void commit_copies();
void wait_copies(std::size_t pending, Site where);
/// Device memory, watched: cells for every byte.
void add_memory(void* memory, std::size_t bytes);
bool remove_memory(void* memory);
/// Host copies and fills: the bytes are initialised (or must be).
void host_wrote(const void* address, std::size_t bytes, const char* call);
void host_reads(const void* address, std::size_t bytes, const char* call);
bool is_device_memory(const void* address);

// ---- traffic.cpp
// ----------------------------------------------------------------------------------------------

enum class Space : uint8_t { Global, Shared };

void count_access(Thread& thread, Space space, const void* address, std::size_t size, Access kind,
                  const void* site);
void count_block_end();
void next_epoch(Thread& thread, uint32_t epoch);

// ---- runtime.cpp
// ----------------------------------------------------------------------------------------------

struct LaunchShape {
  std::string kernel;
  const void* function = nullptr;
  Index grid, block;
  std::size_t dynamic_bytes = 0;
  void* stream = nullptr;
};
/// A kernel with its arguments, which it may read.
struct LaunchBody {
  void (*run)(const void* arguments) = nullptr;
  std::shared_ptr<const void> arguments;
  std::size_t size = 0;
};
/// Queues the launch, or refuses it as a device would (cudaGetLastError tells).
void queue_launch(const LaunchShape& shape, LaunchBody body);
void run_launch(const LaunchShape& shape, const LaunchBody& body);
void drain_streams();

}  // namespace simt
