// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(__SANITIZE_THREAD__)
#define TINTYPE_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TINTYPE_THREAD_SANITIZER 1
#endif
#endif

#ifdef TINTYPE_THREAD_SANITIZER
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
}
#endif

namespace tintype {

/// While it lives, ThreadSanitizer does not look at this thread's accesses to memory; in other builds it is nothing.
///
/// For accesses that the kernel orders, not the language. A write to protected memory waits in the middle of its store
/// instruction until the page has been copied: the sanitizer notes the store before it, then sees the copy, and calls
/// the two a race. There is no place in the writer where it could be told otherwise. Keep the scope to that access.
class OrderedByKernel {
 public:
#ifdef TINTYPE_THREAD_SANITIZER
  OrderedByKernel() noexcept { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~OrderedByKernel() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
#else
  OrderedByKernel() noexcept {}
  ~OrderedByKernel() {}  // NOLINT(modernize-use-equals-default): user-provided, so that an object is not "unused"
#endif
  OrderedByKernel(const OrderedByKernel&) = delete;
  OrderedByKernel& operator=(const OrderedByKernel&) = delete;
};

}  // namespace tintype
