# The addon with faults on demand, of .ci/build-with-faults; for GCC and clang on Linux.
find_file(calls js_native_api.h PATHS ${CMAKE_JS_INC} NO_DEFAULT_PATH REQUIRED)
find_file(more_calls node_api.h PATHS ${CMAKE_JS_INC} NO_DEFAULT_PATH REQUIRED)
set(macros "#include \"${CMAKE_SOURCE_DIR}/native/test/faults/faults.h\"\n")
foreach(header ${calls} ${more_calls})
  file(READ ${header} text)
  string(REGEX MATCHALL "NAPI_CDECL[ \n]+napi_[a-z0-9_]+\\([ \n]*[a-z_]+_env " declarations "${text}")
  foreach(declaration ${declarations})
    string(REGEX MATCH "napi_[a-z0-9_]+" name "${declaration}")
    string(APPEND macros "#define ${name}(...) faults::call(\"${name}\", ${name}, __VA_ARGS__)\n")
  endforeach()
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/faulty_calls.h "${macros}")
set_source_files_properties(native/addon/addon.cpp PROPERTIES
  COMPILE_OPTIONS "-include;${CMAKE_BINARY_DIR}/faulty_calls.h"
  COMPILE_DEFINITIONS napi_register_module_v1=register_addon)

# Strings are compiled within the addon then, so that their allocations are its own, bound to its operator new.
target_sources(batchnorm PRIVATE native/test/faults/faults.cpp)
target_compile_definitions(batchnorm PRIVATE _GLIBCXX_ASSERTIONS)
target_link_options(batchnorm PRIVATE -Wl,-Bsymbolic)
