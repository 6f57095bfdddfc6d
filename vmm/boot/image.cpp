// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/image.h"

#include <fcntl.h>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/overflow.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/linux_spec.h"
#include "vmm/boot/multiboot.h"

namespace tintype {

namespace {

using namespace std::string_view_literals;

constexpr std::size_t kBootSectorSize = 512;
constexpr std::size_t kBootSignatureOffset = 510;
constexpr std::uint64_t kLargestFlat = kConventionalEnd - kFlatStart;

/// Beginnings of files that people give by mistake, and what to do instead.
struct Mistake {
  std::string_view beginning;
  std::string_view advice;
};

constexpr std::array kMistakes = {
    Mistake{"\x1f\x8b"sv, "is compressed with gzip: unpack it first (gzip -d)"},
    Mistake{"\x28\xb5\x2f\xfd"sv, "is compressed with zstd: unpack it first (zstd -d)"},
    Mistake{"\xfd"
            "7zXZ"sv,
            "is compressed with xz: unpack it first (xz -d)"},
    Mistake{"BZh"sv, "is compressed with bzip2: unpack it first (bzip2 -d)"},
    Mistake{"\x04\x22\x4d\x18"sv, "is compressed with lz4: unpack it first (lz4 -d)"},
    Mistake{"\x02\x21\x4c\x18"sv, "is compressed with lz4: unpack it first (lz4 -d)"},
    Mistake{"\x89LZO"sv, "is compressed with lzop: unpack it first (lzop -d)"},
    Mistake{"\x5d\0\0"sv, "is compressed with lzma: unpack it first (xz -d --format=lzma)"},
    Mistake{"#!"sv, "is a script: give a kernel"},
    Mistake{"070701"sv, "is a cpio archive: give it as --initrd, and a kernel as --kernel"},
    Mistake{"MZ"sv,
            "begins as a Linux kernel or an EFI program but lacks Linux's setup header: it is truncated, or "
            "for EFI only; give a whole x86 bzImage"},
};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool holds(std::span<const std::byte> bytes, std::size_t offset, std::string_view text) {
  return range_fits(offset, text.size(), bytes.size()) && as_text(bytes).substr(offset, text.size()) == text;
}

bool has_boot_signature(std::span<const std::byte> bytes) { return holds(bytes, kBootSignatureOffset, "\x55\xaa"sv); }

bool is_text(std::span<const std::byte> bytes) {
  return std::ranges::all_of(as_text(bytes),
                             [](unsigned char c) { return (c >= ' ' && c < 0x7f) || (c >= '\t' && c <= '\r'); });
}

bool is_flat(const ImageFile& file, std::span<const std::byte> beginning) {
  if (has_boot_signature(beginning)) return file.size() <= kLargestFlat;
  return file.size() <= kBootSectorSize && !is_text(beginning);
}

UniqueFd open_image(const std::string& path, std::string_view what) {
  // O_NONBLOCK: a FIFO must not keep us waiting; it is refused afterwards.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd) return fd;
  if (errno == ENOENT || errno == ENOTDIR) throw Error("there is no {} {}: check the path", what, path);
  throw Error("the {} {} cannot be opened ({}): check its permissions", what, path, errno_text(errno));
}

}  // namespace

ImageFile::ImageFile(const std::filesystem::path& path, std::string_view what)
    : path_(path.string()), fd_(open_image(path_, what)) {
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) throw_errno("fstat {}", path_);
  if (S_ISDIR(info.st_mode)) throw Error("the {} {} is a directory: give a file", what, path_);
  if (!S_ISREG(info.st_mode)) throw Error("the {} {} is no regular file: copy it into one", what, path_);
  if (info.st_size == 0) throw Error("the {} {} is empty: give a whole file", what, path_);
  size_ = static_cast<std::uint64_t>(info.st_size);
}

void ImageFile::check_range(std::uint64_t offset, std::uint64_t length, std::string_view part) const {
  if (range_fits(offset, length, size_)) return;
  throw Error("{} is truncated or damaged: its {} should be {} bytes at {}, but the file has {} bytes; copy it again",
              path_, part, length, offset, size_);
}

void ImageFile::read(std::uint64_t offset, std::span<std::byte> into) const {
  read_exactly(fd_.get(), into, offset, path_);
}

Signature detect(const ImageFile& file, std::span<const std::byte> beginning) {
  if (holds(beginning, 0,
            "\x7f"
            "ELF"sv)) {
    return Signature::kElf;
  }
  if (holds(beginning, linux_boot::kMagicOffset, "HdrS"sv) && has_boot_signature(beginning)) return Signature::kBzImage;
  if (find_multiboot_header(beginning)) return Signature::kMultiboot;
  for (const Mistake& mistake : kMistakes) {
    if (holds(beginning, 0, mistake.beginning)) throw Error("{} {}", file.path(), mistake.advice);
  }
  if (is_flat(file, beginning)) return Signature::kFlat;
  throw Error(
      "{} is of no known kind: give a Linux bzImage or vmlinux, an ELF file with a PVH note or a "
      "multiboot header, or a flat "
      "binary (at most 512 bytes, or at most 608 KiB with 0x55 0xaa at 510)",
      file.path());
}

std::string_view kind_name(ImageKind kind) noexcept {
  switch (kind) {
    case ImageKind::kBzImage:
      return "Linux bzImage";
    case ImageKind::kPvhElf:
      return "ELF with a PVH note";
    case ImageKind::kLinuxElf:
      return "Linux vmlinux";
    case ImageKind::kMultiboot:
      return "multiboot";
    case ImageKind::kFlat:
      return "flat real-mode binary";
  }
  return "unknown";
}

}  // namespace tintype
