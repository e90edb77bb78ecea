// Streams, events and graphs of the emulated runtime.

#include "streams.h"

#include <cuda_runtime_api.h>

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "machine.h"
#include "runtime.h"

using Work = std::vector<std::function<void()>>;

struct CUstream_st {
  int number = 0;
  std::deque<std::function<void()>> queue;
  bool capturing = false;
  Work captured;
};

namespace {

/// One record of an event: done when the stream has come to it.
struct Marker {
  CUstream_st* stream = nullptr;
  bool done = false;
};

std::set<CUstream_st*> streams;
int next_number = 1;

void run_front(CUstream_st& stream) {
  const std::function<void()> work = std::move(stream.queue.front());
  stream.queue.pop_front();
  work();
}

void drain(CUstream_st& stream) {
  while (!stream.queue.empty()) run_front(stream);
}

void reach(const Marker& marker) {
  while (!marker.done && !marker.stream->queue.empty()) run_front(*marker.stream);
}

}  // namespace

struct CUevent_st {
  int number = 0;
  std::shared_ptr<Marker> marker;
};
struct CUgraph_st {
  Work work;
};
struct CUgraphExec_st {
  Work work;
};

namespace simt {

void drain_streams() {
  for (CUstream_st* stream : streams) drain(*stream);
}

bool captures(const void* stream) { return stream && static_cast<const CUstream_st*>(stream)->capturing; }

bool anyone_captures() {
  for (const CUstream_st* stream : streams)
    if (stream->capturing) return true;
  return false;
}

int number_of(const void* stream) { return static_cast<const CUstream_st*>(stream)->number; }

void enqueue(void* handle, std::function<void()> work) {
  if (!handle) {  // the default stream waits for all others, and they for it
    if (anyone_captures()) {
      find("stream", {"default stream", 0, nullptr}, "work on the default stream while another captures");
      return set_error(cudaErrorStreamCaptureUnsupported);
    }
    drain_streams();
    return work();
  }
  CUstream_st& stream = *static_cast<CUstream_st*>(handle);
  if (stream.capturing)
    stream.captured.push_back(std::move(work));
  else if (options.seed % 2 == 1)
    stream.queue.push_back(std::move(work));
  else
    work();
}

}  // namespace simt

using namespace simt;

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st{next_number++, {}, false, {}};
  streams.insert(*stream);
  note("cudaStreamCreate", *stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  drain(*stream);
  streams.erase(stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  note("cudaStreamSynchronize", stream);
  if (!stream) {
    drain_streams();
    return cudaSuccess;
  }
  if (stream->capturing) {
    find("stream", {"cudaStreamSynchronize", 0, nullptr}, "a wait for a stream that captures");
    set_error(cudaErrorStreamCaptureUnsupported);
    return cudaErrorStreamCaptureUnsupported;
  }
  drain(*stream);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  note("cudaDeviceSynchronize");
  if (anyone_captures()) {
    find("stream", {"cudaDeviceSynchronize", 0, nullptr}, "a wait for the device while a stream captures");
    return cudaErrorStreamCaptureUnsupported;
  }
  drain_streams();
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st{next_number++, nullptr};
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  note("cudaEventRecord " + std::to_string(event->number), stream);
  auto marker = std::make_shared<Marker>(Marker{stream, false});
  event->marker = marker;
  enqueue(stream, [marker] { marker->done = true; });
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  note("cudaEventSynchronize " + std::to_string(event->number));
  if (event->marker && event->marker->stream) reach(*event->marker);
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return !event->marker || event->marker->done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 0;  // the emulated device has no clock
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  note("cudaStreamWaitEvent " + std::to_string(event->number), stream);
  if (const auto marker = event->marker; marker && marker->stream && marker->stream != stream)
    enqueue(stream, [marker] { reach(*marker); });
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  note("cudaStreamBeginCapture", stream);
  stream->capturing = true;
  stream->captured.clear();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  note("cudaStreamEndCapture", stream);
  stream->capturing = false;
  *graph = new CUgraph_st{std::move(stream->captured)};
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = captures(stream) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  note("cudaGraphLaunch", stream);
  for (const auto& work : exec->work) enqueue(stream, work);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
}
