# unisim_options: language level, warnings and sanitizers of the project's own targets; never installed.
add_library(unisim_options INTERFACE)
target_compile_features(unisim_options INTERFACE cxx_std_20)
target_compile_options(unisim_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Wnon-virtual-dtor>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--expt-relaxed-constexpr;-Xcompiler=-Wall,-Wextra>"
  # GCC 12 warns of "text" + std::string (its bug 105651).
  "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique;-Wno-restrict>"
  # For GCC -Wconversion does not speak of signs; clang shall ask no more.
  "$<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-sign-conversion>")
if(UNISIM_WERROR)
  # GCC's alone: clang, which builds the fuzzers, warns of other things with every version.
  target_compile_options(unisim_options INTERFACE
    "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Werror>" "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>")
endif()
if(UNISIM_SANITIZE)
  target_compile_options(unisim_options INTERFACE
    -fsanitize=${UNISIM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(unisim_options INTERFACE -fsanitize=${UNISIM_SANITIZE})
endif()
if(UNISIM_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR UNISIM_SANITIZE)
    message(FATAL_ERROR "unisim: UNISIM_BUILD_FUZZERS needs clang (-DCMAKE_CXX_COMPILER=clang++) and brings its own "
                        "sanitizers: leave UNISIM_SANITIZE empty.")
  endif()
  # The fuzzers' own main is linked by tests/fuzz alone.
  target_compile_options(unisim_options INTERFACE
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(unisim_options INTERFACE -fsanitize=address,undefined)
endif()
