#include "place_copy.h"

#include <cuda_runtime_api.h>

#include "check.h"

namespace unisim {
namespace {

cudaStream_t stream_of(Cuda place) { return static_cast<cudaStream_t>(place.stream); }

}  // namespace

void copy_in(Cuda place, void* to, const void* host, std::size_t bytes) {
  check_cuda(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, stream_of(place)), "copy_in");
}

void copy_out(Cuda place, void* host, const void* from, std::size_t bytes) {
  check_cuda(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, stream_of(place)), "copy_out");
}

void copy_bytes_within(Cuda place, void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                       std::size_t width, std::size_t rows) {
  if (width == 0 || rows == 0) return;
  check_cuda(cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, rows, cudaMemcpyDeviceToDevice, stream_of(place)),
             "copy_rows_within");
}

void synchronize(Cuda place) { check_cuda(cudaStreamSynchronize(stream_of(place)), "synchronize"); }

void fill_zero(Cuda place, void* memory, std::size_t bytes) {
  if (bytes == 0) return;
  check_cuda(cudaMemsetAsync(memory, 0, bytes, stream_of(place)), "fill_zero");
}

}  // namespace unisim
