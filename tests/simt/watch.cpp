// Every access against what is known of its bytes: bounds, alignment, initialisation, order, unfinished
// copies.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>

#include "memory.h"

extern "C" {
extern char __executable_start, _end;  // NOLINT: the linker's names
}

namespace simt {

Options options;

namespace {

std::string findings;
std::set<std::string> reported;
std::size_t count = 0;

bool within(uintptr_t address, std::size_t size, const void* begin, std::size_t length) {
  const auto first = reinterpret_cast<uintptr_t>(begin);
  return address - first < length && address - first + size <= length;
}

const char* verb(Access kind) {
  return kind == Access::Read ? "reads" : kind == Access::Write ? "writes" : "updates";
}

std::string text_of(const Thread& thread, uintptr_t address, std::size_t size, Access kind,
                    const Region* region) {
  std::string text = name_of(thread) + " " + verb(kind) + " " + std::to_string(size) + " bytes ";
  if (!region) return text + "outside of all memory that it may touch";
  return text + "at byte " + std::to_string(address - region->begin) + " of " + std::to_string(region->size) +
         (region->space == Space::Shared ? " of a shared array" : " of an allocation");
}

bool sees_lane(const Thread& thread, unsigned lane, uint32_t clock) { return thread.knows[lane] >= clock; }

/// What another thread's last write makes of this access: nullptr if all is well.
const char* against_write(const Cell& cell, const Thread& thread, Access kind) {
  if (cell.write_era < machine.launch_era) return nullptr;
  const bool both_atomic = cell.atomic && kind == Access::Atomic;
  if (cell.write_era < machine.block_era) return both_atomic ? nullptr : "another block's write";
  if (cell.write_era < machine.era || cell.write_thread == thread.index || both_atomic) return nullptr;
  if (cell.write_thread / kLanes == thread.warp() &&
      sees_lane(thread, cell.write_thread % kLanes, cell.write_clock))
    return nullptr;
  return "a write";
}

const char* against_reads(const Cell& cell, const Thread& thread) {
  if (cell.read_era < machine.launch_era) return nullptr;
  if (cell.earlier_block || cell.read_era < machine.block_era) return "another block's read";
  if (cell.read_era < machine.era) return nullptr;
  if (cell.several_warps || cell.read_warp != thread.warp()) return "a read";
  for (unsigned lane = 0; lane < kLanes; ++lane)
    if (cell.read_lanes >> lane & 1 && lane != thread.lane() && !sees_lane(thread, lane, cell.read_clock))
      return "a read";
  return nullptr;
}

void note_read(Cell& cell, const Thread& thread) {
  const auto warp = static_cast<uint16_t>(thread.warp());
  if (cell.read_era != machine.era) {
    if (cell.read_era < machine.launch_era)
      cell.earlier_block = false;
    else if (cell.read_era < machine.block_era)
      cell.earlier_block = true;
    cell.read_era = machine.era;
    cell.read_warp = warp;
    cell.several_warps = false;
    cell.read_lanes = 1u << thread.lane();
    cell.read_clock = thread.clock;
  } else if (cell.read_warp != warp) {
    cell.several_warps = true;
  } else {
    cell.read_lanes |= 1u << thread.lane();
    cell.read_clock = std::max(cell.read_clock, thread.clock);
  }
}

void note_write(Cell& cell, const Thread& thread, bool atomic) {
  cell.write_era = machine.era;
  cell.write_thread = static_cast<uint16_t>(thread.index);
  cell.write_clock = thread.clock;
  cell.atomic = atomic;
  cell.initialised = true;
  cell.read_era = 0;
  cell.earlier_block = false;
}

/// Judges one byte; what is wrong, or an empty text.
std::pair<const char*, std::string> judge(Cell& cell, const Thread& thread, Access kind, Space space) {
  if (cell.pending) return {"async", "while a cp.async that writes there is unfinished"};
  const bool known = space == Space::Shared ? cell.write_era >= machine.block_era : cell.initialised;
  if (kind != Access::Write && !known) return {"uninitialised", "which nobody wrote"};
  const bool stale = space == Space::Shared && cell.write_era < machine.block_era;
  if (const char* other = stale ? nullptr : against_write(cell, thread, kind))
    return {"race", std::string("not ordered after ") + other};
  if (kind == Access::Read) return {nullptr, ""};
  const bool old_reads = space == Space::Shared && cell.read_era < machine.block_era;
  if (const char* other = old_reads ? nullptr : against_reads(cell, thread))
    return {"race", std::string("not ordered after ") + other};
  return {nullptr, ""};
}

}  // namespace

void access_as(Thread& thread, const void* pointer, std::size_t size, Access kind, Site where) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  if (address - reinterpret_cast<uintptr_t>(thread.stack) < kStack) return;
  const Region* region = region_of(address);
  if (size <= 16 && (size & (size - 1)) == 0 && address % size != 0)
    find_fatal("misaligned", where,
               text_of(thread, address, size, kind, region) + ", not a multiple of its size");
  if (!region || address - region->begin + size > region->size) {
    if (!region && !in_arena(address)) {
      if (within(address, size, machine.arguments, machine.argument_bytes)) return;
      const auto program = static_cast<std::size_t>(&_end - &__executable_start);
      if (kind == Access::Read && within(address, size, &__executable_start, program)) return;
    }
    find_fatal("out of bounds", where, text_of(thread, address, size, kind, region));
  }
  if (options.count)
    count_access(thread, region->space, pointer, size, kind,
                 where.instruction ? where.instruction : where.file);
  if (!all_seen) return;
  Cell* cells = region->cells + (address - region->begin);
  for (std::size_t k = 0; k < size; ++k) {
    if (const auto [what, why] = judge(cells[k], thread, kind, region->space); what) {
      find(what, where, text_of(thread, address, size, kind, region) + ", " + why);
      if (kind != Access::Read) note_write(cells[k], thread, kind == Access::Atomic);
      continue;
    }
    if (kind == Access::Read)
      note_read(cells[k], thread);
    else
      note_write(cells[k], thread, kind == Access::Atomic);
  }
}

void access(const void* address, std::size_t size, Access kind, Site where) {
  const Inside inside;
  access_as(*current, address, size, kind, where);
}

std::string name_of(const Thread& thread) {
  const Index& b = machine.block_id;
  return "thread " + std::to_string(thread.index) + " of block (" + std::to_string(b.x) + "," +
         std::to_string(b.y) + "," + std::to_string(b.z) + ")";
}

std::string place_of(Site where) {
  if (where.instruction) {
    const auto offset = static_cast<const char*>(where.instruction) - &__executable_start - 1;
    char command[128], line[512] = "";
    std::snprintf(command, sizeof command, "addr2line -e /proc/%d/exe 0x%tx 2>/dev/null", getpid(), offset);
    if (FILE* pipe = popen(command, "r")) {
      if (!std::fgets(line, sizeof line, pipe)) line[0] = 0;
      pclose(pipe);
    }
    std::string text(line, std::strcspn(line, "\n"));
    text = text.substr(0, text.find(" ("));
    return text.substr(text.rfind('/') + 1);
  }
  if (!where.file) return "?";
  const char* slash = std::strrchr(where.file, '/');
  return std::string(slash ? slash + 1 : where.file) +
         (where.line > 0 ? ":" + std::to_string(where.line) : "");
}

void find(const char* kind, Site where, const std::string& text) {
  const std::string key = std::string(kind) + "@" + machine.kernel +
                          (where.instruction ? std::to_string(reinterpret_cast<uintptr_t>(where.instruction))
                                             : (where.file ? where.file : "") + std::to_string(where.line));
  if (!reported.insert(key).second || ++count > 20) return;
  findings += std::string(kind) + " in " + machine.kernel + " at " + place_of(where) + ": " + text + "\n";
}

void find_fatal(const char* kind, Site where, const std::string& text) {
  find(kind, where, text);
  abandon();
}

std::string report() {
  drain_streams();
  std::string text;
  text.swap(findings);
  reported.clear();
  count = 0;
  return text;
}

// ---- cp.async
// -------------------------------------------------------------------------------------------------

namespace {

/// Marks the sixteen bytes as on their way, or as written now.
void mark(const unsigned char* to, bool pending) {
  const auto address = reinterpret_cast<uintptr_t>(to);
  const Region* region = region_of(address);
  if (!region) return;
  for (std::size_t k = 0; k < 16; ++k) {
    Cell& cell = region->cells[address - region->begin + k];
    cell.pending = pending;
    if (!pending) note_write(cell, *current, false);
  }
}

void finish(const AsyncCopy& copy) {
  if (!copy.landed) std::memcpy(copy.to, copy.bytes, 16);
  mark(copy.to, false);
}

}  // namespace

void issue_copy(void* shared, const void* global, int bytes, Site where) {
  const Inside inside;
  if (bytes < 0 || bytes > 16)
    find_fatal("out of bounds", where, "cp.async of " + std::to_string(bytes) + " bytes");
  if (!in_arena(reinterpret_cast<uintptr_t>(shared)))
    find_fatal("out of bounds", where, name_of(*current) + " copies by cp.async to what is no shared memory");
  if (reinterpret_cast<uintptr_t>(global) % 16 != 0)
    find_fatal("misaligned", where,
               name_of(*current) + " copies by cp.async from an address that is no multiple of 16");
  AsyncCopy copy;
  copy.to = static_cast<unsigned char*>(shared);
  if (bytes > 0) {
    access(global, static_cast<std::size_t>(bytes), Access::Read, where);
    std::memcpy(copy.bytes, global, static_cast<std::size_t>(bytes));
  }
  access(shared, 16, Access::Write, where);
  copy.landed = machine.random() & 1;
  if (copy.landed)
    std::memcpy(shared, copy.bytes, 16);
  else
    std::memset(shared, 0xff, 16);
  if (all_seen) mark(copy.to, true);
  current->open_copies.push_back(copy);
}

void commit_copies() {
  const Inside inside;
  current->groups.push_back(std::move(current->open_copies));
  current->open_copies.clear();
}

void wait_copies(std::size_t pending, Site) {
  const Inside inside;
  while (current->groups.size() > pending) {
    for (const AsyncCopy& copy : current->groups.front()) finish(copy);
    current->groups.pop_front();
  }
}

}  // namespace simt
