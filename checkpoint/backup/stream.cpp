// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/stream.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "checkpoint/format/part_format.h"
#include "vmm/base/checksum.h"
#include "vmm/base/error.h"
#include "vmm/base/little_endian.h"

namespace tintype {
namespace {

constexpr std::string_view kMagic = "TINTSTRM";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 16, kFrameHeaderBytes = 24, kChecksumBytes = 8;

/// So many bytes of a buffer, which grows where it has less, and keeps what it has.
std::span<std::byte> first_of(std::vector<std::byte>& buffer, std::size_t count) {
  if (buffer.size() < count) buffer.resize(count);
  return std::span(buffer).first(count);
}

}  // namespace

PutBytes put_to(int fd) {
  return [fd](std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto written = ::write(fd, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) throw_errno("write to the stream");
      if (written > 0) bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  };
}

GetBytes get_from(int fd) {
  return [fd](std::span<std::byte> into) {
    for (;;) {
      const auto got = ::read(fd, into.data(), into.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) throw_errno("read the stream");
    }
  };
}

StreamWriter::StreamWriter(PutBytes put) : put_(std::move(put)) {
  std::array<std::byte, kHeaderBytes> header{};
  std::ranges::copy(std::as_bytes(std::span(kMagic)), header.begin());
  store_number(std::span(header), 8, kVersion);
  put_(header);
}

void StreamWriter::put(FrameKind kind, std::span<const std::byte> payload) {
  check(payload.size() <= kMaximumFrameBytes, "a frame of a stream is not longer than frames may be");
  const std::size_t summed = kFrameHeaderBytes + payload.size();
  const auto frame = first_of(frame_, summed + kChecksumBytes);
  store_number(frame, 0, static_cast<std::uint64_t>(kind));  // and 4 bytes that are zero
  store_number(frame, 8, number_++);
  store_number(frame, 16, static_cast<std::uint64_t>(payload.size()));
  std::ranges::copy(payload, frame.begin() + kFrameHeaderBytes);
  store_number(frame, summed, checksum_of(frame.first(summed)));
  put_(frame);
}

StreamReader::StreamReader(GetBytes get) : get_(std::move(get)) {
  std::array<std::byte, kHeaderBytes> header{};
  read_all(header);
  if (!std::ranges::equal(std::span(header).first(kMagic.size()), std::as_bytes(std::span(kMagic))))
    throw ImageError("this is no stream of checkpoints: give what tintype send wrote");
  const auto version = load_number<std::uint32_t>(header, 8);
  if (version != kVersion || load_number<std::uint32_t>(header, 12) != 0)
    throw ImageError("this stream of checkpoints has version {}, and {} is what can be read here", version, kVersion);
}

Frame StreamReader::next() {
  const auto header = first_of(frame_, kFrameHeaderBytes);
  read_all(header);
  const auto kind = load_number<std::uint32_t>(header, 0);
  const auto length = load_number<std::uint64_t>(header, 16);
  if (length > kMaximumFrameBytes) throw ImageError("frame {} of the stream is damaged", number_);
  const std::size_t summed = kFrameHeaderBytes + length;
  const auto bytes = first_of(frame_, summed + kChecksumBytes);
  read_all(bytes.subspan(kFrameHeaderBytes));
  const bool sound = load_number<std::uint64_t>(bytes, summed) == checksum_of(bytes.first(summed)) &&
                     load_number<std::uint64_t>(bytes, 8) == number_ && load_number<std::uint32_t>(bytes, 4) == 0 &&
                     kind >= static_cast<std::uint32_t>(FrameKind::kCheckpoint) &&
                     kind <= static_cast<std::uint32_t>(FrameKind::kEnd);
  if (!sound) throw ImageError("frame {} of the stream is damaged", number_);
  ++number_;
  return {FrameKind{kind}, bytes.subspan(kFrameHeaderBytes, length)};
}

void StreamReader::read_all(std::span<std::byte> into) {
  while (!into.empty()) {
    const std::size_t got = get_(into);
    if (got == 0) throw StreamCut();
    into = into.subspan(got);
  }
}

}  // namespace tintype
