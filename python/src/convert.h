#pragma once

#include <torch/csrc/utils/pybind.h>
#include <unisim/unisim.h>

#include <string>
#include <vector>

/// What Python hands over, as the library's types. Nothing here computes.
namespace unisim {

namespace py = pybind11;

/// One image: a path, bytes, PIL.Image, numpy uint8 [H, W, 3] or [H, W], or a unisim.Image. A file in a
/// format that only Pillow reads is opened by Pillow. TypeError or ValueError for anything else, saying what
/// was given.
Image image_from(py::handle object);

/// A sequence of images, or one image for a sequence of one.
std::vector<Image> images_from(py::handle object);

/// A file by read_image; what that does not support by Pillow.
Image image_of_file(const std::filesystem::path& file, const ReadOptions& options = {});

/// bytes, bytearray or memoryview: the contents of a file.
bool is_bytes(py::handle object);
Image image_of_bytes(py::handle object, const ReadOptions& options = {});

/// Files, in order, on threads; what is not supported by Pillow. Without `failures` the first bad file's
/// error is thrown, with it every one is recorded there and left out. Ctrl-C ends it between two files.
std::vector<Image> images_of_files(const std::vector<std::filesystem::path>& files,
                                   const ReadOptions& options = {}, std::vector<Failure>* failures = nullptr);

/// A path, str or os.PathLike.
std::filesystem::path path_from(py::handle object);

/// A path, or a message that may hold one, as str: bytes that are no text become what os.fsdecode makes of
/// them.
py::str path_to(const std::string& path);

/// A torch tensor, or anything with __dlpack__ or a numpy array: shared where possible, never computed on.
Tensor tensor_from(py::handle object);

/// None, or a callable as progress(done, total). Between batches signals are looked at, so that Ctrl-C ends
/// the run as KeyboardInterrupt; the callback takes the GIL itself.
Progress progress_from(py::handle callback);

/// "cpu", "cuda", "cuda:0" or a torch.device; the operation stands in the ValueError for anything else.
Device device_from(py::handle device, const std::string& operation);

/// "cls", "mean" or nothing.
std::optional<Pool> pool_from(const std::optional<std::string>& name);

void init_error(py::module_& m);
void init_image(py::module_& m);
void init_tokenizer(py::module_& m);
void init_vlm(py::module_& m);
void init_encoder(py::module_& m);
void init_similarity(py::module_& m);
void init_stats(py::module_& m);
void init_mining(py::module_& m);
void init_fusion(py::module_& m);
void init_metric(py::module_& m);
void init_store(py::module_& m);
void init_task(py::module_& m);
void init_score(py::module_& m);
void init_score_mmie(py::module_& m);
void init_score_mmvp(py::module_& m);

}  // namespace unisim
