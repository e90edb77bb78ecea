#pragma once

#include <cstddef>
#include <utility>

#include "place.h"

/// What orders the work of a Cuda place: streams, events, graphs, and host memory that copies may run beside.
/// The handles are CUDA's, by no name of CUDA's; all throw std::runtime_error naming the call.
namespace unisim {

/// Releases `Release` of a handle with its owner: what the four classes below share.
template <void (*Release)(void*) noexcept>
class CudaHandle {
 public:
  CudaHandle() = default;
  explicit CudaHandle(void* handle) : handle_(handle) {}
  CudaHandle(CudaHandle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  CudaHandle& operator=(CudaHandle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~CudaHandle() {
    if (handle_) Release(handle_);
  }

  void* get() const { return handle_; }

 private:
  void* handle_ = nullptr;
};
void destroy_stream(void* stream) noexcept;
void destroy_event(void* event) noexcept;
void destroy_graph(void* graph) noexcept;
void release_pinned(void* memory) noexcept;

/// A stream of one's own, that waits for no other unless told to.
class Stream {
 public:
  Stream();

  Cuda place() const { return {handle_.get()}; }

 private:
  CudaHandle<destroy_stream> handle_;
};

/// A point in the work of a place.
class Event {
 public:
  Event();

  /// The point is now: after what has been queued on the place.
  void record(Cuda place);
  /// Waits on the host until the recorded point is reached; at once if none was recorded.
  void synchronize() const;
  /// Lets what is queued on the place from now on wait for the recorded point; the host does not.
  void hold(Cuda place) const;

 private:
  CudaHandle<destroy_event> handle_;
};

/// Host memory that copy_in and copy_out read and write while the host goes on.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t bytes);

  void* data() const { return handle_.get(); }
  std::size_t bytes() const { return handle_.get() ? bytes_ : 0; }

 private:
  std::size_t bytes_ = 0;
  CudaHandle<release_pinned> handle_;
};

/// Work recorded once, to be queued as a whole many times: pointers and sizes are those of the recording.
class Graph {
 public:
  Graph() = default;
  /// Records what f queues on the place, which must be a stream of one's own; nothing of it runs. f must not
  /// allocate, release or wait. What f throws is thrown on.
  template <class F>
  static Graph capture(Cuda place, F&& f) {
    begin(place);
    try {
      f();
    } catch (...) {
      abandon(place);
      throw;
    }
    return end(place);
  }

  void launch(Cuda place) const;
  explicit operator bool() const { return handle_.get() != nullptr; }

 private:
  static void begin(Cuda place);
  static void abandon(Cuda place) noexcept;
  static Graph end(Cuda place);

  CudaHandle<destroy_graph> handle_;
};

}  // namespace unisim
