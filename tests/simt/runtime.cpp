// The runtime's functions that the library calls, in the place of libcudart: memory, streams, events. With
// odd seeds a stream's work is left undone until somebody waits for it, as on a device that is busy.

#include "runtime.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "machine.h"
#include "streams.h"

namespace simt {
namespace {

std::vector<std::string> calls;
cudaError_t last_error = cudaSuccess;
std::map<const void*, std::size_t> raised;
std::map<void*, std::size_t> sizes;  // of device memory
std::map<const char*, std::size_t> pinned;
uint64_t in_use = 0;

}  // namespace

void note(std::string call, const void* stream) {
  if (stream) call += " stream " + std::to_string(number_of(stream));
  calls.push_back(std::move(call));
}

std::vector<std::string> trace() {
  std::vector<std::string> all;
  all.swap(calls);
  return all;
}

void set_error(cudaError_t error) { last_error = error; }
uint64_t allocated() { return in_use; }

std::size_t allowed_shared(const void* function) {
  const auto found = raised.find(function);
  return found == raised.end() ? 48 * 1024 : found->second;
}

bool is_pinned(const void* address) {
  const auto* at = static_cast<const char*>(address);
  auto after = pinned.upper_bound(at);
  return after != pinned.begin() && at < std::prev(after)->first + std::prev(after)->second;
}

namespace {

cudaError_t failed(cudaError_t error) {
  last_error = error;
  return error;
}

/// Copies between host and device, each end checked where it is the device's.
void copy(void* to, const void* from, std::size_t bytes, const char* call) {
  if (bytes == 0) return;
  if (is_device_memory(from)) host_reads(from, bytes, call);
  if (is_device_memory(to)) host_wrote(to, bytes, call);
  std::memmove(to, from, bytes);
}

bool ends_fit(const void* to, const void* from, cudaMemcpyKind kind) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return kind == cudaMemcpyDefault ||
         (is_device_memory(to) == to_device && is_device_memory(from) == from_device);
}

}  // namespace
}  // namespace simt

using namespace simt;

extern "C" {

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  note("cudaMalloc " + std::to_string(bytes));
  *memory = nullptr;
  if (anyone_captures()) {
    find("stream", {"cudaMalloc", 0, nullptr}, "an allocation while a stream captures");
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  if (options.fail_allocation == 0) {
    options.fail_allocation = -1;
    return failed(cudaErrorMemoryAllocation);
  }
  if (options.fail_allocation > 0) --options.fail_allocation;
  if (in_use + bytes > options.memory) return failed(cudaErrorMemoryAllocation);
  if (bytes == 0) return cudaSuccess;
  if (posix_memalign(memory, 256, bytes) != 0) return failed(cudaErrorMemoryAllocation);
  std::memset(*memory, 0xff, bytes);
  add_memory(*memory, bytes);
  sizes[*memory] = bytes;
  in_use += bytes;
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  if (!memory) return cudaSuccess;
  note("cudaFree");
  drain_streams();
  const auto found = sizes.find(memory);
  if (found == sizes.end()) return failed(cudaErrorInvalidValue);
  in_use -= found->second;
  sizes.erase(found);
  remove_memory(memory);
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  note("cudaHostAlloc " + std::to_string(bytes));
  if (anyone_captures())
    find("stream", {"cudaHostAlloc", 0, nullptr}, "an allocation while a stream captures");
  if (posix_memalign(memory, 64, std::max<size_t>(bytes, 1)) != 0) return failed(cudaErrorMemoryAllocation);
  pinned[static_cast<const char*>(*memory)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) { return cudaHostAlloc(memory, bytes, 0); }

cudaError_t cudaFreeHost(void* memory) {
  drain_streams();
  pinned.erase(static_cast<const char*>(memory));
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  note("cudaMemcpy " + std::to_string(bytes));
  if (anyone_captures()) return failed(cudaErrorStreamCaptureUnsupported);
  if (bytes > 0 && !ends_fit(to, from, kind)) return failed(cudaErrorInvalidValue);
  drain_streams();
  copy(to, from, bytes, "cudaMemcpy");
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  note("cudaMemcpyAsync " + std::to_string(bytes), stream);
  if (bytes > 0 && !ends_fit(to, from, kind)) return failed(cudaErrorInvalidValue);
  const bool staged = !is_device_memory(from) && !is_pinned(from);
  if (staged) {  // pageable memory is read before the call returns
    std::vector<char> bytes_now(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
    enqueue(stream, [=] { copy(to, bytes_now.data(), bytes, "cudaMemcpyAsync"); });
  } else {
    enqueue(stream, [=] { copy(to, from, bytes, "cudaMemcpyAsync"); });
  }
  if (!is_device_memory(to) && !is_pinned(to) && !captures(stream)) cudaStreamSynchronize(stream);
  return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  for (size_t row = 0; row < height; ++row) {
    const cudaError_t status =
        cudaMemcpyAsync(static_cast<char*>(to) + row * to_pitch,
                        static_cast<const char*>(from) + row * from_pitch, width, kind, stream);
    if (status != cudaSuccess) return status;
  }
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  note("cudaMemsetAsync " + std::to_string(bytes), stream);
  enqueue(stream, [=] {
    host_wrote(memory, bytes, "cudaMemsetAsync");
    std::memset(memory, value, bytes);
  });
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  return cudaMemsetAsync(memory, value, bytes, nullptr);
}

cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  *total = options.memory;
  *available = options.memory - in_use;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || value > 232448) return failed(cudaErrorInvalidValue);
  raised[function] = static_cast<size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }
const char* cudaGetErrorName(cudaError_t error) {
  if (error == cudaErrorMemoryAllocation) return "cudaErrorMemoryAllocation";
  if (error == cudaErrorInvalidConfiguration) return "cudaErrorInvalidConfiguration";
  if (error == cudaErrorInvalidValue) return "cudaErrorInvalidValue";
  if (error == cudaErrorStreamCaptureUnsupported) return "cudaErrorStreamCaptureUnsupported";
  return error == cudaSuccess ? "cudaSuccess" : "cudaError";
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "refused by the emulated device";
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount            ? 4
           : attribute == cudaDevAttrMaxSharedMemoryPerBlockOptin ? 232448
           : attribute == cudaDevAttrComputeCapabilityMajor       ? 9
                                                                  : 0;
  return cudaSuccess;
}
}
