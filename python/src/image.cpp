#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "convert.h"

namespace unisim {
namespace {

/// A read-only view of the pixels that keeps the image alive.
py::array pixels_of(const py::object& self) {
  const auto& image = self.cast<const Image&>();
  const py::ssize_t height = image.height, width = image.width;
  py::array_t<uint8_t> view({height, width, py::ssize_t{3}}, {width * 3, py::ssize_t{3}, py::ssize_t{1}},
                            image.pixels.data(), self);
  view.attr("setflags")(py::arg("write") = false);
  return view;
}

ReadOptions options_of(bool apply_orientation, int64_t max_pixels) {
  ReadOptions options;
  options.apply_orientation = apply_orientation;
  options.max_pixels = max_pixels;
  return options;
}

py::object read_many(const py::object& paths, const std::string& on_error, bool apply_orientation,
                     int64_t max_pixels) {
  require(on_error == "raise" || on_error == "skip",
          "[read_images] on_error must be \"raise\" or \"skip\", not \"", on_error, "\"");
  if (py::isinstance<py::str>(paths) || py::isinstance<py::bytes>(paths))
    throw py::type_error("[read_images] paths must be a sequence of paths; for one there is read_image");
  std::vector<std::filesystem::path> files;
  for (const py::handle path : paths) files.push_back(path_from(path));
  std::vector<Failure> failures;
  const bool skip = on_error == "skip";
  std::vector<Image> images =
      images_of_files(files, options_of(apply_orientation, max_pixels), skip ? &failures : nullptr);
  py::list list;
  for (Image& image : images) list.append(py::cast(std::move(image)));
  if (!skip) return list;
  return py::make_tuple(list, failures);
}

/// f(image) without the GIL; an Image is not copied for it.
template <class F>
Image from_image(const py::object& object, const F& f) {
  if (py::isinstance<Image>(object)) {
    const auto& image = object.cast<const Image&>();
    const py::gil_scoped_release no_gil;
    return f(image);
  }
  const Image image = image_from(object);
  const py::gil_scoped_release no_gil;
  return f(image);
}

Image resized(const py::object& object, std::pair<int32_t, int32_t> size, const std::string& resample) {
  const Resample filter = resample_from_name(resample);
  return from_image(object,
                    [&](const Image& image) { return resize(image, size.first, size.second, filter); });
}

Image cropped(const py::object& object, std::pair<int32_t, int32_t> size) {
  return from_image(object, [&](const Image& image) { return center_crop(image, size.first, size.second); });
}

void init_image_class(py::module_& m) {
  py::class_<Image>(m, "Image", R"(An image as the library reads it: 8-bit RGB, rows top to bottom.

Made by read_image, read_images, resize and center_crop. Never changed once made.)")
      .def_readonly("width", &Image::width, "Width in pixels.")
      .def_readonly("height", &Image::height, "Height in pixels.")
      .def_readonly("warnings", &Image::warnings,
                    "What was read with a loss or a doubt, as sentences; mostly empty.")
      .def("numpy", &pixels_of, R"(The pixels, uint8 [height, width, 3], R G B.

Returns
-------
numpy.ndarray
    A read-only view, without a copy; it keeps the image alive.)")
      .def_property_readonly(
          "__array_interface__",
          [](const py::object& self) { return pixels_of(self).attr("__array_interface__"); })
      .def("__repr__", [](const Image& image) {
        return text_of("<unisim.Image ", image.width, " x ", image.height, ">");
      });
  py::class_<Failure>(m, "Failure", "A file that could not be read or embedded, and why.")
      .def_property_readonly("file", [](const Failure& failure) { return path_to(failure.file.string()); })
      .def_property_readonly("error", [](const Failure& failure) { return path_to(failure.error); })
      .def("__repr__",
           [](const Failure& failure) { return path_to("<unisim.Failure " + failure.error + ">"); });
}

void init_reading(py::module_& m) {
  const ReadOptions defaults;
  m.def(
      "read_image",
      [](const py::object& path, bool apply_orientation, int64_t max_pixels) {
        const ReadOptions options = options_of(apply_orientation, max_pixels);
        return is_bytes(path) ? image_of_bytes(path, options) : image_of_file(path_from(path), options);
      },
      py::arg("path"), py::kw_only(), py::arg("apply_orientation") = defaults.apply_orientation,
      py::arg("max_pixels") = defaults.max_pixels,
      R"(Read an image file as RGB, with the pixels of Pillow's ``Image.open(path).convert("RGB")``.

Parameters
----------
path : str, os.PathLike or bytes
    A file, or its bytes: JPEG, PNG or WebP (the first frame), told apart by content. What else Pillow reads is
    left to Pillow.
apply_orientation : bool
    Turn the picture as its EXIF orientation says.
max_pixels : int
    More pixels than that, as the file's header claims, are refused before anything is allocated.

Returns
-------
Image

Raises
------
OSError
    The file cannot be read.
ValueError
    It is broken, truncated, too large, or no image.
NotImplementedError
    It is in a known format that neither the library nor Pillow reads.)");
  m.def("read_images", &read_many, py::arg("paths"), py::kw_only(), py::arg("on_error") = "raise",
        py::arg("apply_orientation") = defaults.apply_orientation,
        py::arg("max_pixels") = defaults.max_pixels,
        R"(Read many image files, on all cores, in order. Ctrl-C ends it between two files.

Parameters
----------
paths : sequence of str or os.PathLike
on_error : "raise" or "skip"
    With "raise" the first bad file's error is raised, as read_image would. With "skip" bad files are left out.
apply_orientation, max_pixels
    As for read_image.

Returns
-------
list of Image
    With ``on_error="skip"`` a tuple (images, failures), the failures with ``.file`` and ``.error``.)");
}

}  // namespace

void init_image(py::module_& m) {
  init_image_class(m);
  init_reading(m);
  m.def("resize", &resized, py::arg("image"), py::arg("size"), py::arg("resample") = "bicubic",
        R"(Resize as Pillow's ``Image.resize`` does, bit for bit.

Parameters
----------
image : image
    A path, bytes, PIL.Image, uint8 array [H, W, 3] or [H, W], or Image.
size : (int, int)
    Width and height in pixels.
resample : str
    "nearest", "box", "bilinear", "hamming", "bicubic" or "lanczos"; all but the first are antialiased.

Returns
-------
Image

Raises
------
ValueError
    An empty size, or a filter that does not exist.)");
  m.def("center_crop", &cropped, py::arg("image"), py::arg("size"),
        R"(The window in the middle; zeros stand around an image that is smaller, as in transformers.

Parameters
----------
image : image
    As for resize.
size : (int, int)
    Width and height in pixels.

Returns
-------
Image)");
}

}  // namespace unisim
