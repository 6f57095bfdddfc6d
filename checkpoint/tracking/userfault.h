// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// What this host's userfaultfd can do; `problem` is empty where all of it works on a guest's memory.
struct UserfaultSupport {
  bool missing_pages = false;  ///< they can be brought in when somebody touches them
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

/// What a userfaultfd tells of.
enum class FaultKind : std::uint8_t {
  kWrites,   ///< to pages that are protected
  kMissing,  ///< any access to pages that have nothing yet
};

struct Fault {
  std::uintptr_t address = 0;
  std::uint32_t thread = 0;                     ///< who waits, as gettid(2) has it; where missing pages are told of
  std::chrono::steady_clock::time_point since;  ///< when it was told of
  bool put_off = false;                         ///< it comes once more: there was no room for it
};

/// A userfaultfd (Linux Documentation/admin-guide/mm/userfaultfd.rst). Catches faults that the kernel takes on the
/// guest's behalf (KVM, io_uring), so it needs root, /dev/userfaultfd, or vm.unprivileged_userfaultfd = 1.
///
/// Virtual for tests, which fail a step, or let something happen just before or after it.
class Userfault {
 public:
  /// Throws tintype::Error with the remedy where the host cannot.
  explicit Userfault(FaultKind kind = FaultKind::kWrites);
  virtual ~Userfault() = default;

  int fd() const noexcept { return fd_.get(); }
  /// Both walk no page tables.
  virtual void watch(std::span<std::byte> range);
  void stop_watching(std::span<std::byte> range) noexcept;

  /// Writes to the pages of the range that are populated now fault from here on.
  virtual void protect(std::span<std::byte> range);
  /// Lets writes through and wakes whoever waits. False where the kernel refuses.
  [[nodiscard]] virtual bool release(std::span<std::byte> range) noexcept;

  /// Gives a range of missing pages its contents, page by page whole or not at all, and wakes whoever waits. Pages that
  /// are there already stay. `from` is as long, anonymous memory of this process with all of its pages there; those may
  /// be gone afterwards, moved (Linux 6.8: huge ones whole). False where the kernel refuses.
  [[nodiscard]] virtual bool fill(std::span<std::byte> range, std::span<std::byte> from) noexcept;

  /// False: fill() copies, into small pages.
  bool moves_pages() const noexcept { return moves_; }

  /// The next fault, without waiting; nothing where there is none.
  std::optional<Fault> next_fault() noexcept;

 private:
  std::size_t move(std::span<std::byte> range, std::span<std::byte> from) noexcept;

  const FaultKind kind_;
  UniqueFd fd_;
  bool moves_ = false;  ///< pages into a range, instead of copying
};

}  // namespace tintype
