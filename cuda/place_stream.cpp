#include "place_stream.h"

#include <cuda_runtime_api.h>
#include <unisim/error.h>

#include "check.h"

namespace unisim {
namespace {

cudaStream_t stream_of(Cuda place) { return static_cast<cudaStream_t>(place.stream); }
cudaEvent_t event_of(void* handle) { return static_cast<cudaEvent_t>(handle); }

/// In a destructor there is nobody to tell of an error.
void forget(cudaError_t status) noexcept {
  if (status != cudaSuccess) cudaGetLastError();
}

void* new_stream() {
  cudaStream_t stream = nullptr;
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "Stream");
  return stream;
}

void* new_event() {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "Event");
  return event;
}

void* new_pinned(std::size_t bytes) {
  void* memory = nullptr;
  if (bytes > 0) check_cuda(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault), "PinnedBuffer");
  return memory;
}

}  // namespace

void destroy_stream(void* stream) noexcept { forget(cudaStreamDestroy(static_cast<cudaStream_t>(stream))); }
void destroy_event(void* event) noexcept { forget(cudaEventDestroy(event_of(event))); }
void destroy_graph(void* graph) noexcept {
  forget(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)));
}
void release_pinned(void* memory) noexcept { forget(cudaFreeHost(memory)); }

Stream::Stream() : handle_(new_stream()) {}

Event::Event() : handle_(new_event()) {}
void Event::record(Cuda place) {
  check_cuda(cudaEventRecord(event_of(handle_.get()), stream_of(place)), "Event.record");
}
void Event::synchronize() const {
  check_cuda(cudaEventSynchronize(event_of(handle_.get())), "Event.synchronize");
}
void Event::hold(Cuda place) const {
  check_cuda(cudaStreamWaitEvent(stream_of(place), event_of(handle_.get()), 0), "Event.hold");
}

PinnedBuffer::PinnedBuffer(std::size_t bytes) : bytes_(bytes), handle_(new_pinned(bytes)) {}

void Graph::begin(Cuda place) {
  require(place.stream != nullptr, "[Graph.capture] the default stream cannot be captured: use a Stream");
  // Of this thread alone: an allocation elsewhere in the process must not spoil the recording.
  check_cuda(cudaStreamBeginCapture(stream_of(place), cudaStreamCaptureModeThreadLocal), "Graph.capture");
}

void Graph::abandon(Cuda place) noexcept {
  cudaGraph_t graph = nullptr;
  forget(cudaStreamEndCapture(stream_of(place), &graph));
  if (graph) forget(cudaGraphDestroy(graph));
}

Graph Graph::end(Cuda place) {
  cudaGraph_t graph = nullptr;
  check_cuda(cudaStreamEndCapture(stream_of(place), &graph), "Graph.capture");
  cudaGraphExec_t ready = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&ready, graph, 0);
  forget(cudaGraphDestroy(graph));
  check_cuda(status, "Graph.capture");
  Graph made;
  made.handle_ = CudaHandle<destroy_graph>(ready);
  return made;
}

void Graph::launch(Cuda place) const {
  check_cuda(cudaGraphLaunch(static_cast<cudaGraphExec_t>(handle_.get()), stream_of(place)), "Graph.launch");
}

}  // namespace unisim
