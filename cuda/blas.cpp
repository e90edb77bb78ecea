// gemm by cuBLASLt.
//
// It thinks in columns: rows of ours are its columns, so that out^T = weight a^T, with weight transposed. Its
// heuristic is asked once for each kind of product, and the answer kept: equal products give equal bits, in
// any order of calls.

#include "blas.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <unisim/error.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "check.h"
#include "place_memory.h"

namespace unisim {
namespace {

/// What NVIDIA advises for Hopper; less serves older devices.
constexpr std::size_t kWorkspace = std::size_t{32} << 20;
/// The rows that a batch-invariant algorithm is chosen for.
constexpr int64_t kUsualRows = 4096;

// ---- errors -----------------------------------------------------------------------------------------------

const char* name_of(GemmType type) {
  return type == GemmType::Float ? "float32" : type == GemmType::Bf16 ? "bfloat16" : "float16";
}

std::string shape_of(const Gemm& g) {
  return text_of("[", g.m, ", ", g.k, "] by [", g.n, ", ", g.k, "] of ", name_of(g.type),
                 g.bias ? ", bias" : "", g.residual.data ? ", residual" : "",
                 g.batch_invariant ? ", batch-invariant" : "");
}

void check_blas(cublasStatus_t status, const char* call, const Gemm& g) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  cudaGetLastError();  // told here: no later check shall meet it
  throw std::runtime_error(
      text_of("[product] ", call, ": ", cublasLtGetStatusString(status), ": ", shape_of(g)));
}

// ---- the library and its workspaces -----------------------------------------------------------------------

/// The library's context for one device; a thread has its own.
class Blas {
 public:
  Blas() {
    const cublasStatus_t status = cublasLtCreate(&handle_);
    if (status != CUBLAS_STATUS_SUCCESS)
      throw std::runtime_error(text_of("[product] cublasLtCreate: ", cublasLtGetStatusString(status)));
  }
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;
  ~Blas() { cublasLtDestroy(handle_); }

  cublasLtHandle_t handle() const { return handle_; }

 private:
  cublasLtHandle_t handle_ = nullptr;
};

int current_device() {
  int device = 0;
  check_cuda(cudaGetDevice(&device), "product");
  return device;
}

cublasLtHandle_t handle_on(int device) {
  thread_local std::map<int, std::unique_ptr<Blas>> own;
  std::unique_ptr<Blas>& blas = own[device];
  if (!blas) blas = std::make_unique<Blas>();
  return blas->handle();
}

/// Memory that the products of one stream share, one after another; two streams may run at once. It outlives
/// threads, since a recorded graph keeps its address.
struct Workspaces {
  std::mutex mutex;
  std::map<std::pair<int, void*>, void*> of_stream;
};
Workspaces& workspaces() {
  static auto* const all = new Workspaces;
  return *all;
}

void* workspace_on(int device, void* stream) {
  const std::lock_guard lock(workspaces().mutex);
  void*& memory = workspaces().of_stream[{device, stream}];
  if (memory) return memory;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check_cuda(cudaStreamIsCapturing(static_cast<cudaStream_t>(stream), &status), "product");
  if (status != cudaStreamCaptureStatusNone)
    throw std::runtime_error(
        "[product] the stream is being recorded, and nobody has called prepare_products");
  return memory = allocate(Cuda{stream}, kWorkspace);
}

// ---- the product in the library's words -------------------------------------------------------------------

cudaDataType_t data_type(GemmType type) {
  return type == GemmType::Float ? CUDA_R_32F : type == GemmType::Bf16 ? CUDA_R_16BF : CUDA_R_16F;
}
int64_t size_of(GemmType type) { return type == GemmType::Float ? 4 : 2; }

/// The largest power of two, up to 16, that divides an address and the distance of its rows.
template <class Void>
int64_t alignment_of(GemmRows<Void> rows, int64_t size) {
  const uint64_t all =
      reinterpret_cast<uintptr_t>(rows.data) | static_cast<uint64_t>(rows.stride * size) | 16u;
  return int64_t{1} << std::countr_zero(all);
}

/// What an algorithm may depend on, all of it: the device, the shape (with as many rows as it is chosen for),
/// the distances of rows, what is added, and how everything is aligned.
struct Kind {
  Gemm asked;  ///< for errors
  Gemm g;      ///< m is the rows that the algorithm is chosen for
  int64_t weight_alignment, a_alignment, residual_alignment, out_alignment, bias_alignment;
  bool in_place;

  std::array<int64_t, 17> key(int device) const {
    return {device,
            static_cast<int64_t>(g.type),
            g.m,
            g.n,
            g.k,
            g.a.stride,
            g.weight.stride,
            g.residual.stride,
            g.out.stride,
            g.bias != nullptr,
            g.batch_invariant,
            in_place,
            weight_alignment,
            a_alignment,
            residual_alignment,
            out_alignment,
            bias_alignment};
  }
};

/// m rounded up to four binary digits: batches of about one size share an algorithm, whichever came first.
/// Up, so that the workspace of the larger is enough for the smaller.
int64_t rounded_rows(int64_t m) {
  const auto step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(m)) / 8);
  return step == 0 ? m : (m + step - 1) / step * step;
}

/// The product with m free, so that one row may lie at any distance from the next.
Kind kind_of(Gemm g) {
  const int64_t size = size_of(g.type);
  Kind kind;
  kind.asked = g;
  if (!g.residual.data) g.residual = {g.out.data, g.out.stride};
  g.a.stride = std::max(g.a.stride, g.k);
  g.weight.stride = std::max(g.weight.stride, g.k);
  g.residual.stride = std::max(g.residual.stride, g.n);
  g.out.stride = std::max(g.out.stride, g.n);
  kind.weight_alignment = alignment_of(g.weight, size);
  kind.a_alignment = alignment_of(g.a, size);
  kind.residual_alignment = alignment_of(g.residual, size);
  kind.out_alignment = alignment_of(g.out, size);
  kind.bias_alignment = g.bias ? alignment_of(GemmRows<const void>{g.bias, 0}, size) : 16;
  kind.in_place = g.residual.data == g.out.data && g.residual.stride == g.out.stride;
  g.m = g.batch_invariant ? kUsualRows : rounded_rows(g.m);
  kind.g = g;
  return kind;
}

/// The library's descriptions, without allocations.
struct Descriptions {
  cublasLtMatmulDescOpaque_t product;
  cublasLtMatrixLayoutOpaque_t weight, a, residual, out;

  Descriptions(const Gemm& g, const void* bias) {
    const auto check = [&](cublasStatus_t status) { check_blas(status, "describing it", g); };
    const auto set = [&](cublasLtMatmulDescAttributes_t what, const auto& value) {
      check(cublasLtMatmulDescSetAttribute(&product, what, &value, sizeof value));
    };
    // Plain 32F: products of float are float's own, never TF32's; those of 16-bit numbers are summed in
    // float.
    check(cublasLtMatmulDescInit(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    if (g.bias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    }
    const auto layout = [&](cublasLtMatrixLayoutOpaque_t& matrix, int64_t height, int64_t columns,
                            int64_t stride) {
      check(cublasLtMatrixLayoutInit(&matrix, data_type(g.type), static_cast<uint64_t>(height),
                                     static_cast<uint64_t>(columns), stride));
    };
    layout(weight, g.k, g.n, g.weight.stride);
    layout(a, g.k, g.m, g.a.stride);
    layout(residual, g.n, g.m, g.residual.stride);
    layout(out, g.n, g.m, g.out.stride);
  }
};

// ---- the algorithm ----------------------------------------------------------------------------------------

uint32_t splits_of(const cublasLtMatmulAlgo_t& algorithm) {
  uint32_t splits = 1;
  std::size_t written = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoConfigGetAttribute(
      &algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits, sizeof splits, &written);
  return status == CUBLAS_STATUS_SUCCESS ? splits : 1;
}

/// The heuristic's first answer. Partial sums are added in float or not at all. Batch-invariant: chosen for
/// kUsualRows, whatever m is, among those that sum k in one sequence: without splits, and without a workspace
/// through which blocks could pass parts of sums. A number then is one sum in the order of one kernel's loop,
/// and m only says how many tiles there are. Should one not run for some m, cublasLtMatmul says so.
cublasLtMatmulAlgo_t choose(cublasLtHandle_t handle, const Kind& kind) {
  const Gemm& g = kind.g;
  // The library reads the alignment of a bias from its address: here one that has no more than the kind's.
  const auto* bias = reinterpret_cast<const void*>(static_cast<uintptr_t>(4096 + kind.bias_alignment));
  Descriptions described(g, bias);
  cublasLtMatmulPreferenceOpaque_t preference;
  const auto check = [&](cublasStatus_t status) { check_blas(status, "choosing an algorithm", kind.asked); };
  check(cublasLtMatmulPreferenceInit(&preference));
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
    check(cublasLtMatmulPreferenceSetAttribute(&preference, what, &value, sizeof value));
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, g.batch_invariant ? std::size_t{0} : kWorkspace);
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, g.batch_invariant
                                                         ? uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE}
                                                         : uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<uint32_t>(kind.weight_alignment));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<uint32_t>(kind.a_alignment));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<uint32_t>(kind.residual_alignment));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<uint32_t>(kind.out_alignment));
  cublasLtMatmulHeuristicResult_t found[16];
  int count = 0;
  check(cublasLtMatmulAlgoGetHeuristic(handle, &described.product, &described.weight, &described.a,
                                       &described.residual, &described.out, &preference, 16, found, &count));
  for (int i = 0; i < count; ++i)
    if (found[i].state == CUBLAS_STATUS_SUCCESS && (!g.batch_invariant || splits_of(found[i].algo) <= 1))
      return found[i].algo;
  throw std::runtime_error("[product] cuBLASLt knows no algorithm for " + shape_of(kind.asked));
}

cublasLtMatmulAlgo_t algorithm_of(cublasLtHandle_t handle, int device, const Kind& kind) {
  static std::mutex mutex;
  static auto* const chosen = new std::map<std::array<int64_t, 17>, cublasLtMatmulAlgo_t>;
  const std::lock_guard lock(mutex);
  const auto key = kind.key(device);
  const auto known = chosen->find(key);
  if (known != chosen->end()) return known->second;
  return chosen->emplace(key, choose(handle, kind)).first->second;
}

}  // namespace

void prepare_gemm(void* stream) {
  const int device = current_device();
  handle_on(device);
  workspace_on(device, stream);
}

void release_gemm(void* stream) noexcept {
  const std::lock_guard lock(workspaces().mutex);
  std::erase_if(workspaces().of_stream, [&](const auto& workspace) {  // whichever device is current
    if (workspace.first.second != stream) return false;
    release(Cuda{stream}, workspace.second);
    return true;
  });
}

void gemm(const Gemm& given, void* stream) {
  const int device = current_device();
  const cublasLtHandle_t handle = handle_on(device);
  void* const workspace = workspace_on(device, stream);
  const Kind kind = kind_of(given);
  const cublasLtMatmulAlgo_t algorithm = algorithm_of(handle, device, kind);
  Gemm g = kind.g;
  g.m = given.m;
  Descriptions described(g, g.bias);
  const float one = 1, add = given.residual.data ? 1.0f : 0.0f;
  // In place the library wants one description, not two equal ones.
  const cublasLtMatrixLayout_t residual = kind.in_place ? &described.out : &described.residual;
  check_blas(cublasLtMatmul(handle, &described.product, &one, g.weight.data, &described.weight, g.a.data,
                            &described.a, &add, g.residual.data, residual, g.out.data, &described.out,
                            &algorithm, workspace, kWorkspace, static_cast<cudaStream_t>(stream)),
             "cublasLtMatmul", given);
}

}  // namespace unisim
