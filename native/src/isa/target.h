// A region of code for one instruction set, without compiler flags: gyp has no flags for single
// files. Inside a region: no standard header, no std:: template (its weak symbol, compiled for the
// region, might be linked for everybody).
#pragma once

#define BATCHNORM_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define BATCHNORM_BEGIN_TARGET(features) \
  BATCHNORM_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define BATCHNORM_END_TARGET BATCHNORM_PRAGMA(clang attribute pop)
#elif defined(__GNUC__)
#define BATCHNORM_BEGIN_TARGET(features) \
  BATCHNORM_PRAGMA(GCC push_options)     \
  BATCHNORM_PRAGMA(GCC target(features))
#define BATCHNORM_END_TARGET BATCHNORM_PRAGMA(GCC pop_options)
#else  // MSVC compiles any intrinsic anywhere
#define BATCHNORM_BEGIN_TARGET(features)
#define BATCHNORM_END_TARGET
#endif

#if defined(__has_feature)  // clang's word for what GCC defines
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BATCHNORM_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BATCHNORM_SANITIZED
#endif

// Asks for the cache line at an address, which need not be valid.
#if defined(__GNUC__) || defined(__clang__)
#define BATCHNORM_FETCH(address) __builtin_prefetch(address)
#define BATCHNORM_FETCH_FAR(address) __builtin_prefetch(address, 0, 2)
#else
#define BATCHNORM_FETCH(address) static_cast<void>(address)
#define BATCHNORM_FETCH_FAR(address) static_cast<void>(address)
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define BATCHNORM_INLINE __forceinline
#define BATCHNORM_RESTRICT __restrict
#elif defined(BATCHNORM_SANITIZED)
// A kernel that everything is inlined into takes a compiler minutes to instrument; this way,
// seconds.
#define BATCHNORM_INLINE inline
#define BATCHNORM_RESTRICT __restrict__
#else
#define BATCHNORM_INLINE inline __attribute__((always_inline))
#define BATCHNORM_RESTRICT __restrict__
#endif
