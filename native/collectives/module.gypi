# What the modules of all engines share. Exceptions and RTTI: the libraries throw, and the modules catch.
{
  'include_dirs': ['<!(node ../../node-addon-api.cjs)'],
  'defines': ['NAPI_VERSION=8', 'NAPI_CPP_EXCEPTIONS'],
  'cflags!': ['-fno-exceptions'],
  'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17'],
  'cflags_cc': ['-std=c++17', '-O2', '-fexceptions', '-frtti', '-fvisibility=hidden', '-Wall', '-Wextra'],
  'conditions': [
    # A thread may be in the library when the worker that loaded the module ends.
    ['OS=="linux"', { 'ldflags': ['-Wl,-z,nodelete'] }],
  ],
  'xcode_settings': {
    'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
    'GCC_ENABLE_CPP_RTTI': 'YES',
    'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
  },
}
