#pragma once

#include <unisim/tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/safetensors.h"

/// From the tensors of a file to the tensors that a tower computes with: checked as a whole, then read.
namespace unisim {

/// A tensor of the file, as it must be there.
struct FileTensor {
  std::string name;
  std::vector<int64_t> shape;
};

/// A tensor of ours and where it comes from. Pieces (query, key and value in files of Hugging Face) are
/// stacked along the first dimension.
struct Want {
  Tensor* into = nullptr;
  std::vector<FileTensor> pieces = {};
  std::vector<int64_t> shape = {};  ///< of ours, another view of the same elements; empty: as in the file
  bool transposed = false;          ///< [in, out] in the file, [out, in] here
  bool in_float32 = false;          ///< stays float32 whatever the model computes in
};

/// What a tower asks of a file.
struct Wants {
  std::string reader;  ///< "vision tower", for messages
  std::vector<Want> tensors;
  std::vector<std::string>
      harmless;  ///< patterns of names ("*" stands for anything) that may be there unused
};

/// The weights of a model folder, and where and in what they are to be computed with.
class Weights {
 public:
  Weights(SafeTensors file, Device device, DType dtype)
      : file_(std::move(file)), device_(device), dtype_(dtype) {}
  /// The safetensors of a folder; see SafeTensors::open_folder.
  static Weights open(const std::filesystem::path& folder, const std::vector<std::string>& stems,
                      Device device, DType dtype);

  /// Fills every want. Before the first byte is read, names, shapes and types (F32, F16, BF16) of all are
  /// checked, and every other tensor of the file must be harmless: one that would change the arithmetic if
  /// the configuration were another (a layer too many, a bias, a scale) is a DataError that names it. So is a
  /// NaN or an infinity.
  void fill(const Wants& wants) const;

  int64_t parameters() const;  ///< floating point numbers in the files
  bool has(std::string_view name) const { return file_.find(name) != nullptr; }
  Device device() const { return device_; }
  DType dtype() const { return dtype_; }

 private:
  /// Into a tensor of another type by way of a room that serves the next tensor too.
  void read(const FileTensor& wanted, const Tensor& into, Tensor& staged) const;

  SafeTensors file_;
  Device device_;
  DType dtype_;
};

}  // namespace unisim
