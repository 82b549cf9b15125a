# What `cmake --install` puts where other programs find it: the library, its header, and how to link them, for
# find_package(batchnorm) and for pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set_target_properties(batchnorm_kernels PROPERTIES OUTPUT_NAME batchnorm EXPORT_NAME batchnorm)
target_include_directories(batchnorm_kernels INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS batchnorm_kernels EXPORT batchnormTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY native/include/batchnorm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(config ${CMAKE_INSTALL_LIBDIR}/cmake/batchnorm)
install(EXPORT batchnormTargets NAMESPACE batchnorm:: DESTINATION ${config})
# Below 1.0 a minor version may break what is built on the one before.
write_basic_package_version_file(batchnormConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/batchnormConfig.cmake ${PROJECT_BINARY_DIR}/batchnormConfigVersion.cmake
  DESTINATION ${config})

# From the .pc file to the header, so that the whole may be moved.
file(RELATIVE_PATH to_include ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(${CMAKE_CURRENT_LIST_DIR}/batchnorm.pc.in batchnorm.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/batchnorm.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
