#include <pybind11/numpy.h>
#include <torch/csrc/autograd/python_variable.h>

#include <cstring>

#include "convert.h"

namespace unisim {
namespace {

std::string type_name(py::handle object) { return py::str(py::type::handle_of(object).attr("__name__")); }

/// True for an instance of a class of a module that is loaded; what is not loaded cannot have made the
/// object.
bool is_instance(py::handle object, const char* module, const char* type) {
  const py::dict modules = py::module_::import("sys").attr("modules");
  return modules.contains(module) && py::isinstance(object, modules[module].attr(type));
}

bool is_pillow(py::handle object) { return is_instance(object, "PIL.Image", "Image"); }
bool is_path(py::handle object) {
  return py::isinstance<py::str>(object) || py::hasattr(object, "__fspath__");
}
std::string shape_text(const py::array& array) {
  std::string text = "[";
  for (py::ssize_t i = 0; i < array.ndim(); ++i) text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + "]";
}

void check_layout(const py::array& array) {
  if (array.dtype().kind() != 'u' || array.dtype().itemsize() != 1)
    throw py::type_error("an image array must be uint8, 0 to 255, not " +
                         std::string(py::str(array.dtype())) +
                         (array.dtype().kind() == 'f' ? ": scale it to 0..255, round and cast it" : ""));
  const bool grey = array.ndim() == 2;
  if (grey || (array.ndim() == 3 && array.shape(2) == 3)) return;
  std::string reason = "an image array must be [H, W, 3] or [H, W], not " + shape_text(array);
  if (array.ndim() == 3 && array.shape(0) == 3)
    reason += ": channels come last; of a [3, H, W] array pass array.transpose(1, 2, 0)";
  if (array.ndim() == 3 && array.shape(2) == 4)
    reason += ": an alpha channel must be dropped, array[..., :3]";
  throw py::value_error(reason);
}

/// Any strides; [H, W] is grey.
Image image_of_array(const py::array& array) {
  check_layout(array);
  require(array.size() > 0, "an image array must not be empty: ", shape_text(array));
  require(array.shape(0) <= INT32_MAX && array.shape(1) <= INT32_MAX,
          "an image array is too large: ", shape_text(array));
  Image image{static_cast<int32_t>(array.shape(1)), static_cast<int32_t>(array.shape(0)), {}, {}};
  image.pixels.resize(std::size_t{3} * static_cast<std::size_t>(array.shape(0) * array.shape(1)));
  const auto* data = static_cast<const uint8_t*>(array.data());
  const py::ssize_t channel = array.ndim() == 3 ? array.strides(2) : 0;
  uint8_t* to = image.pixels.data();
  for (py::ssize_t y = 0; y < array.shape(0); ++y) {
    const uint8_t* from = data + y * array.strides(0);
    if (channel == 1 && array.strides(1) == 3) {
      std::memcpy(to, from, static_cast<std::size_t>(3 * array.shape(1)));
      to += 3 * array.shape(1);
      continue;
    }
    for (py::ssize_t x = 0; x < array.shape(1); ++x, from += array.strides(1))
      for (int c = 0; c < 3; ++c) *to++ = from[c * channel];
  }
  return image;
}

py::array array_of_tensor(py::handle tensor) {
  return py::array(tensor.attr("detach")().attr("cpu")().attr("numpy")());
}

/// By Pillow, for what the library does not support; throws `refusal` again where Pillow does not know it
/// either.
Image image_by_pillow(const py::object& source, const Unsupported& refusal, const ReadOptions& options) {
  const py::object pixels = py::module_::import("unisim._pillow")
                                .attr("read_rgb")(source, path_to(refusal.file().string()),
                                                  options.apply_orientation, options.max_pixels);
  if (pixels.is_none()) throw refusal;
  return image_of_array(pixels.cast<py::array>());
}

/// The images of a stack [n, H, W, 3], or of a sequence of anything that image_from takes.
std::vector<Image> images_of_sequence(py::handle object) {
  const py::list items = py::list(py::reinterpret_borrow<py::object>(object));
  const bool all_paths = py::len(items) > 0 && std::all_of(items.begin(), items.end(), is_path);
  if (all_paths) {
    std::vector<std::filesystem::path> files;
    for (const py::handle item : items) files.push_back(path_from(item));
    return images_of_files(files);
  }
  std::vector<Image> images;
  images.reserve(py::len(items));
  for (const py::handle item : items) {
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    images.push_back(image_from(item));
  }
  return images;
}

}  // namespace

bool is_bytes(py::handle object) {
  return py::isinstance<py::bytes>(object) || py::isinstance<py::bytearray>(object) ||
         py::isinstance<py::memoryview>(object);
}

Image image_of_bytes(py::handle object, const ReadOptions& options) {
  const py::bytes bytes = py::isinstance<py::bytes>(object)
                              ? py::reinterpret_borrow<py::bytes>(object)
                              : py::bytes(py::module_::import("builtins").attr("bytes")(object));
  const std::string_view view = bytes;
  try {
    const py::gil_scoped_release no_gil;
    return decode_image(std::as_bytes(std::span(view.data(), view.size())), "<bytes>", options);
  } catch (const Unsupported& refusal) {
    return image_by_pillow(bytes, refusal, options);
  }
}

Image image_of_file(const std::filesystem::path& file, const ReadOptions& options) {
  try {
    const py::gil_scoped_release no_gil;
    return read_image(file, options);
  } catch (const Unsupported& refusal) {
    return image_by_pillow(path_to(file.string()), refusal, options);
  }
}

std::vector<Image> images_of_files(const std::vector<std::filesystem::path>& files,
                                   const ReadOptions& options, std::vector<Failure>* failures) {
  const Progress progress = progress_from(py::none());
  ImagesRead read;
  {
    const py::gil_scoped_release no_gil;
    read = read_images_skipping(files, options, 0, progress);
  }
  std::vector<Image> images;
  images.reserve(files.size());
  auto failure = read.failures.begin();
  std::size_t taken = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (taken < read.index.size() && read.index[taken] == static_cast<int64_t>(i)) {
      images.push_back(std::move(read.images[taken++]));
      continue;
    }
    // Once more, alone: by Pillow where that can, else for the error itself.
    if (!failures || failure->unsupported) {
      try {
        images.push_back(image_of_file(files[i], options));
        ++failure;
        continue;
      } catch (py::error_already_set& error) {
        if (!failures || !error.matches(PyExc_Exception)) throw;  // Ctrl-C is no failure of the file
        failure->error = error.what();
      } catch (const std::exception& error) {
        if (!failures) throw;
        failure->error = error.what();
      }
    }
    failures->push_back(std::move(*failure++));
  }
  return images;
}

Image image_from(py::handle object) {
  if (py::isinstance<Image>(object)) return object.cast<Image>();
  if (is_path(object)) return image_of_file(path_from(object));
  if (is_bytes(object)) return image_of_bytes(object);
  if (is_pillow(object))
    return image_of_array(
        py::array(py::module_::import("numpy").attr("asarray")(object.attr("convert")("RGB"))));
  if (py::isinstance<py::array>(object)) return image_of_array(py::reinterpret_borrow<py::array>(object));
  if (THPVariable_Check(object.ptr())) return image_of_array(array_of_tensor(object));
  throw py::type_error(
      "an image must be a path, bytes, a PIL image, a uint8 array [H, W, 3] or [H, W] or a unisim.Image, "
      "not " +
      type_name(object));
}

std::vector<Image> images_from(py::handle object) {
  if (THPVariable_Check(object.ptr()) && object.attr("dim")().cast<int>() == 4)
    return images_of_sequence(object);
  if (py::isinstance<py::array>(object) && py::reinterpret_borrow<py::array>(object).ndim() == 4)
    return images_of_sequence(object);
  const bool single = py::isinstance<Image>(object) || is_path(object) || is_bytes(object) ||
                      is_pillow(object) || py::isinstance<py::array>(object) ||
                      THPVariable_Check(object.ptr());
  if (!single && py::isinstance<py::iterable>(object)) return images_of_sequence(object);
  std::vector<Image> images;
  images.push_back(image_from(object));
  return images;
}

}  // namespace unisim
