// SPDX-License-Identifier: Apache-2.0
#include "devices/block/image_tools.h"

#include <sys/stat.h>

#include <algorithm>

#include "devices/block/backend.h"
#include "devices/block/recovery.h"
#include "vmm/base/error.h"

namespace tintype {

using log_format::StateKind;

namespace {

std::uint64_t allocated_bytes(const BlockFile& file) {
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) throw_errno("fstat {}", file.path().string());
  return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

ImageLog describe(const RedoLog& log) {
  return {log.path(),
          log.sequence(),
          log.superblock().purpose == log_format::Purpose::kKeep,
          log.state().kind == StateKind::kCommitting,
          log.index().sector_count() * kSectorSize,
          log.index().extent_count(),
          log.discarded(),
          allocated_bytes(log)};
}

bool any_committing(const FoundLogs& found) {
  return std::any_of(found.current.begin(), found.current.end(),
                     [](const auto& log) { return log->state().kind == StateKind::kCommitting; });
}

}  // namespace

bool ImageInfo::has_uncommitted() const noexcept {
  return std::any_of(logs.begin(), logs.end(), [](const ImageLog& log) { return log.kept; });
}

ImageInfo describe_image(const std::filesystem::path& image, const std::filesystem::path& log_directory) {
  const auto base = RawFile::open(image, true);
  const FoundLogs found = find_stack(*base, log_directory, true);
  ImageInfo info{base->path(), base->size(), allocated_bytes(*base), {}, {}, {}};
  if (base->suspended() && base->suspended()->counts()) info.suspended_in = base->suspended()->state.parent_path();
  const bool may_go = found.are_kept_for_nothing();
  for (const auto& log : found.current) {
    if (may_go) {
      info.void_logs.push_back(log->path());
    } else {
      info.logs.push_back(describe(*log));
    }
  }
  for (const auto& log : found.retired) info.void_logs.push_back(log->path());
  return info;
}

std::uint64_t commit_image(const std::filesystem::path& image, const std::filesystem::path& log_directory) {
  const auto base = RawFile::open(image, false);
  check_suspended(*base, {});
  const FoundLogs found = find_stack(*base, log_directory, false);
  const std::uint64_t sectors = found.sector_count();
  commit_logs(found, *base);
  return sectors * kSectorSize;
}

std::uint64_t discard_image(const std::filesystem::path& image, const std::filesystem::path& log_directory) {
  const auto base = RawFile::open(image, false);
  check_suspended(*base, {});
  const FoundLogs found = find_stack(*base, log_directory, false);
  if (any_committing(found)) {
    throw Error(
        "a commit of the updates of {} has begun and was cut short, so that they can no longer be thrown away: "
        "finish it with `tintype disk commit {}`",
        base->path().string(), base->path().string());
  }
  const std::uint64_t sectors = found.sector_count();
  discard_logs(found, *base);
  return sectors * kSectorSize;
}

std::uint64_t read_image(const std::filesystem::path& image, const std::filesystem::path& log_directory,
                         const std::function<void(std::uint64_t bytes)>& prepare, const ImageSink& sink) {
  constexpr std::uint64_t kStep = 1 << 20;
  LayerStack stack;
  stack.base = RawFile::open(image, true);
  FoundLogs found = find_stack(*stack.base, log_directory, true);
  const std::uint64_t uncommitted = found.sector_count() * kSectorSize;
  stack.logs = std::move(found.current);
  prepare(stack.base->size());
  std::vector<std::byte> buffer(kStep);
  for (auto data = next_data(stack, 0); data; data = next_data(stack, data->end)) {
    data->end = std::min(data->end, data->start + kStep / kSectorSize);
    const auto bytes = std::span(buffer).first(data->count() * kSectorSize);
    read_stack(stack, data->start, bytes);
    sink(data->start * kSectorSize, bytes);
  }
  return uncommitted;
}

}  // namespace tintype
