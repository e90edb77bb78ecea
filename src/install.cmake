# Where things land: a prefix by `cmake --install`, or the wheel's unisim/ folder under scikit-build-core.
include(CMakePackageConfigHelpers)
if(SKBUILD)
  set(UNISIM_LIBDIR unisim/lib)
  set(UNISIM_INCLUDEDIR unisim/include)
  set_target_properties(unisim PROPERTIES INSTALL_RPATH
    "$ORIGIN;$ORIGIN/../../torch/lib;$ORIGIN/../../nvidia/cu13/lib")
else()
  set(UNISIM_LIBDIR ${CMAKE_INSTALL_LIBDIR})
  set(UNISIM_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
  set_target_properties(unisim PROPERTIES INSTALL_RPATH
    "$ORIGIN;${UNISIM_TORCH_ROOT}/lib;${UNISIM_TORCH_ROOT}/../nvidia/cu13/lib")
endif()
set(UNISIM_CMAKEDIR ${UNISIM_LIBDIR}/cmake/unisim)

install(TARGETS unisim EXPORT unisimTargets
  LIBRARY DESTINATION ${UNISIM_LIBDIR} FILE_SET HEADERS DESTINATION ${UNISIM_INCLUDEDIR})
install(EXPORT unisimTargets NAMESPACE unisim:: DESTINATION ${UNISIM_CMAKEDIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/unisimConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/unisimConfig.cmake INSTALL_DESTINATION ${UNISIM_CMAKEDIR})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/unisimConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/unisimConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/unisimConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/UnisimTorch.cmake
        DESTINATION ${UNISIM_CMAKEDIR})
