#pragma once

/// The emulated runtime's streams, for its memory functions.
namespace simt {

bool captures(const void* stream);
bool anyone_captures();
int number_of(const void* stream);
bool is_pinned(const void* address);

}  // namespace simt
