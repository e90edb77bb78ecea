#include "convert.h"

namespace unisim {
namespace {

/// The Python exception of a type, carrying .filename as OSError does.
void set_error(PyObject* type, const std::exception& error, const std::filesystem::path& file) {
  py::object raised = py::reinterpret_borrow<py::object>(type)(path_to(error.what()));
  raised.attr("filename") = path_to(file.string());
  PyErr_SetObject(type, raised.ptr());
}

void set_os_error(const std::filesystem::filesystem_error& error) {
  // OSError(errno, text, filename) becomes FileNotFoundError, PermissionError, ... by itself.
  py::object raised = py::reinterpret_borrow<py::object>(PyExc_OSError)(
      error.code().value(), error.code().message(), path_to(error.path1().string()));
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(raised.ptr())), raised.ptr());
}

}  // namespace

void init_error(py::module_& m) {
  // Held for as long as the process lives: the translator has no other way to it.
  static PyObject* const not_finite = py::exception<NotFinite>(m, "NotFiniteError", PyExc_RuntimeError).release().ptr();
  py::handle(not_finite).attr("__doc__") =
      "The result of one item, a question or a pair, is not finite: that item's fault alone.";
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const Unsupported& error) {
      set_error(PyExc_NotImplementedError, error, error.file());
    } catch (const DataError& error) {
      set_error(PyExc_ValueError, error, error.file());
    } catch (const NotFinite& error) {  // it may name a folder whose bytes are no text
      PyErr_SetObject(not_finite, path_to(error.what()).ptr());
    } catch (const Cancelled& error) {
      PyErr_SetString(PyExc_KeyboardInterrupt, error.what());
    } catch (const std::filesystem::filesystem_error& error) {
      set_os_error(error);
    } catch (const std::invalid_argument& error) {  // it may name a path whose bytes are no text
      PyErr_SetObject(PyExc_ValueError, path_to(error.what()).ptr());
    } catch (const std::bad_alloc& error) {
      PyErr_SetString(PyExc_MemoryError, error.what());
    }
  });
}

}  // namespace unisim
