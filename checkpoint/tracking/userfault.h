// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// What this host's userfaultfd can do; `problem` is empty where write protection of a guest's memory works.
struct UserfaultSupport {
  bool write_protect = false;
  bool unpopulated = false;  ///< UFFD_FEATURE_WP_UNPOPULATED (Linux 6.4); not needed, because absent pages are known
  std::string problem;       ///< one sentence with the remedy
};
UserfaultSupport probe_userfault();

/// A userfaultfd whose faults the kernel resolves itself (UFFD_FEATURE_WP_ASYNC, Linux 6.7): nobody is told, and nobody
/// waits. It never catches a fault inside the kernel, so anybody may have one (UFFD_USER_MODE_ONLY).
class AsyncUserfault {
 public:
  /// Throws tintype::Error.
  AsyncUserfault();
  void watch(std::span<std::byte> range) const;
  void stop_watching(std::span<std::byte> range) const noexcept;
  /// Takes away what protection there is; where the kernel refuses, it stays.
  void release(std::span<std::byte> range) const noexcept;

 private:
  UniqueFd fd_;
};

/// A userfaultfd in write-protect mode (Linux Documentation/admin-guide/mm/userfaultfd.rst). Catches faults that the
/// kernel takes on the guest's behalf (KVM, io_uring), so it needs root, /dev/userfaultfd, or
/// vm.unprivileged_userfaultfd = 1.
///
/// Virtual for tests, which fail a step, or let something happen just before or after it.
class Userfault {
 public:
  /// Throws tintype::Error with the remedy where the host cannot.
  Userfault();
  virtual ~Userfault() = default;

  int fd() const noexcept { return fd_.get(); }
  /// Both walk no page tables.
  virtual void watch(std::span<std::byte> range);
  void stop_watching(std::span<std::byte> range) noexcept;

  /// Writes to the pages of the range that are populated now fault from here on.
  virtual void protect(std::span<std::byte> range);
  /// Lets writes through and wakes whoever waits. False where the kernel refuses.
  [[nodiscard]] virtual bool release(std::span<std::byte> range) noexcept;

  /// The address of the next write fault, without waiting; nothing where there is none.
  std::optional<std::uintptr_t> next_fault() noexcept;

 private:
  UniqueFd fd_;
};

}  // namespace tintype
