// Fibers: a block's threads take turns on one OS thread and change at barriers, warp operations and some
// atomics.

#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "machine.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace simt {

Machine machine;
Thread* current = nullptr;
bool watching = false;

namespace {

Thread threads[kMaxThreads];
uint64_t ready[kMaxThreads / 64];
Thread host;  // the context that run_block is called from
void (*block_body)(const void*) = nullptr;
const void* block_argument = nullptr;

#if defined(__x86_64__)
extern "C" void simt_switch(void** from, void* to);
asm(R"(
.text
.globl simt_switch
.type simt_switch, @function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch, .-simt_switch
)");
bool portable() { return options.portable_switch; }
#else
void simt_switch(void**, void*) { throw std::logic_error("[simt] no own switch on this processor"); }
bool portable() { return true; }
#endif

/// How the running block changes fibers: fixed when it begins.
bool by_context = false;

#if defined(__SANITIZE_ADDRESS__)
/// The bounds of the host's stack must be known before a fiber changes back to it.
struct HostStack {
  const void* bottom = nullptr;
  std::size_t size = 0;
};
HostStack host_stack;
bool from_host = false;
#endif

void change(Thread& from, Thread& to, [[maybe_unused]] bool for_good) {
  current = &to == &host ? nullptr : &to;
#if defined(__SANITIZE_ADDRESS__)
  const bool back = &to == &host;
  __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake_stack, back ? host_stack.bottom : to.stack,
                                 back ? host_stack.size : kStack);
#endif
  if (by_context)
    swapcontext(static_cast<ucontext_t*>(from.context), static_cast<ucontext_t*>(to.context));
  else
    simt_switch(&from.stack_pointer, to.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void set_ready(unsigned index, bool on) {
  const uint64_t bit = uint64_t{1} << (index % 64);
  if (on)
    ready[index / 64] |= bit;
  else
    ready[index / 64] &= ~bit;
}

/// The first ready thread from `from` on upwards, then from 0; kMaxThreads: none.
unsigned ready_upwards(unsigned from) {
  const unsigned words = kMaxThreads / 64;
  for (unsigned step = 0; step <= words; ++step) {
    const unsigned word = (from / 64 + step) % words;
    const uint64_t bits = step == 0 ? ready[word] & (~uint64_t{0} << (from % 64)) : ready[word];
    if (bits) return word * 64 + static_cast<unsigned>(__builtin_ctzll(bits));
  }
  return kMaxThreads;
}

unsigned ready_downwards(unsigned from) {
  const unsigned words = kMaxThreads / 64;
  for (unsigned step = 0; step <= words; ++step) {
    const unsigned word = (from / 64 + words - step % words) % words;
    const uint64_t bits = step == 0 ? ready[word] & (~uint64_t{0} >> (63 - from % 64)) : ready[word];
    if (bits) return word * 64 + 63 - static_cast<unsigned>(__builtin_clzll(bits));
  }
  return kMaxThreads;
}

/// The next ready thread after `from` in the order of the seed; none: nullptr.
Thread* next_ready(unsigned from) {
  unsigned index = kMaxThreads;
  if (options.seed == 0)
    index = ready_upwards((from + 1) % kMaxThreads);
  else if (options.seed == 1)
    index = ready_downwards((from + kMaxThreads - 1) % kMaxThreads);
  else
    index = ready_upwards(static_cast<unsigned>(machine.random() % machine.threads));
  return index == kMaxThreads ? nullptr : &threads[index];
}

std::string who_waits() {
  std::string text;
  int shown = 0;
  for (unsigned k = 0; k < machine.threads && shown < 8; ++k) {
    const Thread& thread = threads[k];
    if (thread.status != Status::AtBarrier && thread.status != Status::AtMeeting) continue;
    text += (shown++ ? ", " : "") + name_of(thread) + " at " + place_of(thread.waits);
  }
  return text;
}

void leave_to(Thread& from, bool for_good) {
  Thread* next = next_ready(from.index);
  if (!next) {
    if (machine.live == 0) change(from, host, for_good);
    find("divergence", from.waits, "deadlock: nobody can go on; waiting: " + who_waits());
    machine.abandoned = true;
    change(from, host, true);
  }
  if (next != &from) change(from, *next, for_good);
}

void thread_main() {
#if defined(__SANITIZE_ADDRESS__)
  HostStack before;  // the host's only where this is the block's first fiber
  __sanitizer_finish_switch_fiber(nullptr, &before.bottom, &before.size);
  if (from_host) host_stack = before;
  from_host = false;
#endif
  watching = true;
  block_body(block_argument);
  watching = false;
  Thread& self = *current;
  if (machine.at_barrier > 0)
    find("divergence", machine.barrier,
         name_of(self) + " returns before a __syncthreads that others wait at");
  self.status = Status::Done;
  set_ready(self.index, false);
  --machine.live;
  leave_to(self, true);
  std::abort();  // a thread that is done never runs again
}

void prepare(Thread& thread, unsigned index) {
  if (!thread.stack) {
    void* memory = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    thread.stack = static_cast<unsigned char*>(memory);
  }
  thread.index = index;
  thread.id = {index % machine.block.x, index / machine.block.x % machine.block.y,
               index / machine.block.x / machine.block.y};
  thread.status = Status::Ready;
  thread.clock = 1;
  for (uint32_t& known : thread.knows) known = 0;
  thread.open_copies.clear();
  thread.groups.clear();
  thread.epoch = 0;
  thread.occurrences.clear();
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(thread.stack, kStack);
#endif
  // Equal-sized stacks would alias in the caches.
  unsigned char* top = thread.stack + kStack - (index * 37 % 64) * 64 - 64;
  if (by_context) {
    if (!thread.context) thread.context = new ucontext_t;
    auto* context = static_cast<ucontext_t*>(thread.context);
    getcontext(context);
    context->uc_stack.ss_sp = thread.stack;
    context->uc_stack.ss_size = static_cast<std::size_t>(top - thread.stack);
    context->uc_link = nullptr;
    makecontext(context, thread_main, 0);
  } else {
    auto* frame = reinterpret_cast<void**>(top);  // on entry rsp % 16 must be 8
    *--frame = nullptr;
    *--frame = reinterpret_cast<void*>(thread_main);
    for (int k = 0; k < 6; ++k) *--frame = nullptr;
    thread.stack_pointer = frame;
  }
  set_ready(index, true);
}

}  // namespace

Thread& thread_at(unsigned index) { return threads[index]; }

void run_block(void (*body)(const void*), const void* argument) {
  block_body = body;
  block_argument = argument;
  by_context = portable();
  if (by_context && !host.context) host.context = new ucontext_t;
  machine.live = machine.threads;
  machine.at_barrier = 0;
  forget_meetings();
  for (uint64_t& word : ready) word = 0;
  for (unsigned k = 0; k < machine.threads; ++k) prepare(threads[k], k);
  Thread* first = next_ready(options.seed == 1 ? machine.threads : kMaxThreads - 1);
#if defined(__SANITIZE_ADDRESS__)
  from_host = true;
#endif
  change(host, *first, false);
  watching = false;
  current = nullptr;
}

void wait_as(Status status, Site where) {
  Thread& self = *current;
  self.status = status;
  self.waits = where;
  set_ready(self.index, false);
  leave_to(self, false);
}

void make_ready(Thread& thread) {
  thread.status = Status::Ready;
  set_ready(thread.index, true);
}

void yield_sometimes() {
  const Inside inside;
  if (machine.random() & 1) leave_to(*current, false);
}

void abandon() {
  machine.abandoned = true;
  change(*current, host, true);
  std::abort();
}

void sync_block(Site where) {
  const Inside inside;
  if (machine.live < machine.threads)
    find("divergence", where,
         name_of(*current) + " waits at a __syncthreads after another thread has returned");
  if (machine.at_barrier > 0 &&
      (machine.barrier.line != where.line || std::strcmp(machine.barrier.file, where.file) != 0))
    find_fatal("divergence", where,
               name_of(*current) + " waits here, others of its block at the __syncthreads of " +
                   place_of(machine.barrier));
  machine.barrier = where;
  if (++machine.at_barrier < machine.live) {
    wait_as(Status::AtBarrier, where);
    return;
  }
  machine.at_barrier = 0;
  ++machine.era;
  for (unsigned k = 0; k < machine.threads; ++k) {
    next_epoch(threads[k], threads[k].epoch + 1);
    if (threads[k].status == Status::AtBarrier) make_ready(threads[k]);
  }
}

}  // namespace simt
