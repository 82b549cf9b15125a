# In this folder, not in the root of the package: npm would build it at every installation.
{
  'targets': [
    {
      'target_name': 'batchnorm',
      # One list of C++ sources, which CMakeLists.txt reads too.
      'sources': [
        'addon/addon.cpp',
        '<!@(node -p "require(\'fs\').readFileSync(\'sources.txt\', \'utf8\').trim().split(/\\s+/).join(\' \')")',
      ],
      # The last has what the package knows its addon by.
      'include_dirs': ['include', '<!(node node-addon-api.cjs)', '<!(node identity.mjs build/identity)'],
      'defines': ['NAPI_VERSION=8', 'NAPI_CPP_EXCEPTIONS'],
      'cflags!': ['-fno-exceptions'],
      'cflags_cc!': ['-fno-exceptions', '-std=gnu++17'],
      # The arithmetic contract: no fused multiply-add. errno and traps play no part in values.
      'cflags_cc': ['-std=c++17', '-O3', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-fvisibility=hidden', '-Wall', '-Wextra'],
      # Without NDEBUG the kernels assert what they take for granted; gyp does not define it by itself.
      'configurations': {
        'Release': { 'defines': ['NDEBUG'] },
        'Debug': { 'defines': ['_GLIBCXX_ASSERTIONS'] },
      },
      # The thread pool's threads may outlive the module: its code must stay.
      'conditions': [
        ['OS=="linux"', { 'ldflags': ['-Wl,-z,nodelete'] }],
      ],
      'xcode_settings': {
        'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
        'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
        'MACOSX_DEPLOYMENT_TARGET': '11.0',
        'GCC_OPTIMIZATION_LEVEL': '3',
        'OTHER_CPLUSPLUSFLAGS': ['-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-fvisibility=hidden'],
      },
      'msvs_settings': {
        'VCCLCompilerTool': { 'ExceptionHandling': 1, 'AdditionalOptions': ['/std:c++17', '/fp:precise'] },
      },
    },
  ],
}
