# Imported targets for LibTorch as the torch wheel ships it: unisim_torch::cpu and unisim_torch::python.
#
# Torch's own CMake package insists on a CUDA toolkit and edits global flags; the library needs two files and an
# include folder. Found through UNISIM_TORCH_ROOT, else beside the installed package, else by asking Python.
include_guard(GLOBAL)

if(NOT UNISIM_TORCH_ROOT AND EXISTS "${CMAKE_CURRENT_LIST_DIR}/../../../../torch/include/ATen/core/Tensor.h")
  get_filename_component(UNISIM_TORCH_ROOT "${CMAKE_CURRENT_LIST_DIR}/../../../../torch" ABSOLUTE)
endif()

if(NOT UNISIM_TORCH_ROOT)
  if(Python_EXECUTABLE)
    set(_unisim_python "${Python_EXECUTABLE}")
  else()
    find_program(_unisim_python NAMES python3 python)
  endif()
  execute_process(
    COMMAND "${_unisim_python}" -c
            "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0])"
    OUTPUT_VARIABLE UNISIM_TORCH_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()

if(NOT EXISTS "${UNISIM_TORCH_ROOT}/include/ATen/core/Tensor.h")
  message(FATAL_ERROR "unisim: no LibTorch found. Set UNISIM_TORCH_ROOT to the torch folder of a Python "
                      "environment with torch 2.11 (python -c 'import torch; print(torch.__path__[0])').")
endif()
set(UNISIM_TORCH_ROOT "${UNISIM_TORCH_ROOT}" CACHE PATH "The torch folder of the torch wheel")

foreach(_library c10 torch_cpu torch_python)
  if(EXISTS "${UNISIM_TORCH_ROOT}/lib/lib${_library}.so" AND NOT TARGET unisim_torch::${_library})
    add_library(unisim_torch::${_library} SHARED IMPORTED)
    set_target_properties(unisim_torch::${_library} PROPERTIES
      IMPORTED_LOCATION "${UNISIM_TORCH_ROOT}/lib/lib${_library}.so"
      INTERFACE_INCLUDE_DIRECTORIES
      "${UNISIM_TORCH_ROOT}/include;${UNISIM_TORCH_ROOT}/include/torch/csrc/api/include"
      INTERFACE_SYSTEM_INCLUDE_DIRECTORIES
      "${UNISIM_TORCH_ROOT}/include;${UNISIM_TORCH_ROOT}/include/torch/csrc/api/include")
  endif()
endforeach()

if(NOT TARGET unisim_torch::cpu)
  add_library(unisim_torch::cpu INTERFACE IMPORTED)
  target_link_libraries(unisim_torch::cpu INTERFACE unisim_torch::torch_cpu unisim_torch::c10)
  # libtorch_cpu needs cudart and cupti even where there is no GPU; the wheel keeps them beside torch.
  target_link_options(unisim_torch::cpu INTERFACE
    "LINKER:-rpath-link,${UNISIM_TORCH_ROOT}/lib"
    "LINKER:-rpath-link,${UNISIM_TORCH_ROOT}/../nvidia/cu13/lib")
endif()
if(TARGET unisim_torch::torch_python AND NOT TARGET unisim_torch::python)
  add_library(unisim_torch::python INTERFACE IMPORTED)
  target_link_libraries(unisim_torch::python INTERFACE unisim_torch::torch_python unisim_torch::cpu)
endif()
