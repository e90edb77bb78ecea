// Warp operations: the lanes that a mask names gather, the last to come computes for all.

#include <algorithm>
#include <cstring>
#include <list>

#include "machine.h"

namespace simt {
namespace {

std::list<Meeting> meetings[kMaxThreads / kLanes];

const char* text_of(Kind kind) {
  constexpr const char* names[] = {"__syncwarp", "shuffle", "vote", "reduction", "ldmatrix", "mma"};
  return names[static_cast<int>(kind)];
}

Thread& lane_of_warp(unsigned lane) { return thread_at(current->warp() * kLanes + lane); }

bool same_place(const Site& a, const Site& b) { return a.line == b.line && std::strcmp(a.file, b.file) == 0; }

/// What every lane of the mask did before is ordered before what any of them does next. Their clocks agree
/// afterwards.
void order(uint32_t mask) {
  uint32_t latest = 0, knows[kLanes] = {};
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1)) continue;
    const Thread& thread = lane_of_warp(lane);
    latest = std::max(latest, thread.clock);
    for (unsigned k = 0; k < kLanes; ++k) knows[k] = std::max(knows[k], thread.knows[k]);
  }
  for (unsigned lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1) knows[lane] = latest;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1)) continue;
    Thread& thread = lane_of_warp(lane);
    thread.clock = latest + 1;
    std::copy(knows, knows + kLanes, thread.knows);
  }
}

void release(const Meeting& meeting) {
  uint32_t epoch = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane)
    if (meeting.mask >> lane & 1) epoch = std::max(epoch, lane_of_warp(lane).epoch);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if (!(meeting.mask >> lane & 1)) continue;
    Thread& thread = lane_of_warp(lane);
    next_epoch(thread, epoch + 1);
    if (&thread != current) make_ready(thread);
  }
}

void check_mask(Kind kind, uint32_t mask, Site where) {
  const std::string who = name_of(*current) + " in a " + text_of(kind);
  if (!(mask >> current->lane() & 1)) find_fatal("divergence", where, who + " whose mask omits it");
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1)) continue;
    if (current->warp() * kLanes + lane >= machine.threads)
      find_fatal("divergence", where,
                 who + " whose mask names lane " + std::to_string(lane) + ", which is not there");
    if (lane_of_warp(lane).status == Status::Done)
      find_fatal("divergence", where,
                 who + " whose mask names lane " + std::to_string(lane) + ", which has returned");
  }
}

}  // namespace

void forget_meetings() {
  for (auto& of_warp : meetings) of_warp.clear();
}

void meet(Kind kind, uint32_t mask, Site where, void* slot, void (*compute)(Meeting&)) {
  const Inside inside;
  check_mask(kind, mask, where);
  std::list<Meeting>& open = meetings[current->warp()];
  auto meeting = std::find_if(open.begin(), open.end(), [&](const Meeting& other) {
    return other.kind == kind && other.mask == mask && same_place(other.where, where) &&
           !(other.arrived >> current->lane() & 1);
  });
  if (meeting == open.end()) {
    meeting = open.insert(open.end(), Meeting{kind, mask, 0, where, {}});
  }
  meeting->arrived |= 1u << current->lane();
  meeting->slots[current->lane()] = slot;
  if (meeting->arrived != mask) {
    wait_as(Status::AtMeeting, where);
    return;
  }
  if (compute) compute(*meeting);
  if (kind == Kind::SyncWarp) order(mask);
  const Meeting done = *meeting;
  open.erase(meeting);
  release(done);
}

}  // namespace simt
