// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/image.h"

#include <sys/stat.h>

#include <doctest/doctest.h>

#include "tests/unit/boot/test_images.h"

namespace tintype {

using namespace test;

namespace {

std::string refusal_of_path(const std::filesystem::path& path) {
  GuestMemory memory(4 << 20);
  try {
    load_kernel(memory, {.kernel = path, .initrd = {}, .append = {}, .cpus = 1, .slots = {}});
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

std::string refusal_of(const Bytes& kernel) { return TestBoot().refusal(kernel); }

Bytes text(const std::string& content) { return {content.begin(), content.end()}; }

}  // namespace

TEST_CASE("a path without a kernel is refused with the reason") {
  contains(refusal_of_path("/no/such/kernel"), "there is no kernel");
  contains(refusal_of_path(std::filesystem::temp_directory_path()), "directory");
  contains(refusal_of_path(""), "there is no kernel");
  contains(refusal_of_path("/dev/null"), "regular file");
  contains(refusal_of({}), "empty");
}

TEST_CASE("a FIFO as kernel is refused instead of waited for") {
  const auto path = std::filesystem::temp_directory_path() / ("tintype-fifo-" + std::to_string(::getpid()));
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  contains(refusal_of_path(path), "regular file");
  std::filesystem::remove(path);
}

TEST_CASE("a small binary is a flat image, a small text is a mistake") {
  TestBoot boot;
  boot.load({0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xf4});
  CHECK(boot.plan.kind == ImageKind::kFlat);
  contains(refusal_of(text("console=ttyS0\n")), "of no known kind");
  contains(refusal_of(text("#!/bin/sh\n")), "script");
}

TEST_CASE("a picture of megabytes is no kernel, even with an unlucky boot signature") {
  Bytes picture(3 << 20, 0x5c);
  put(picture, 0, std::uint32_t{0xe0ffd8ff});
  contains(refusal_of(picture), "of no known kind");
  put(picture, 510, linux_boot::kBootFlag);
  contains(refusal_of(picture), "of no known kind");
}

TEST_CASE("without its signature a flat image has at most 512 bytes, with it at most 608 KiB") {
  TestBoot boot(2 << 20);
  Bytes image(512, 0x90);
  boot.load(image);
  image.push_back(0x90);
  contains(refusal_of(image), "of no known kind");
  put(image, 510, linux_boot::kBootFlag);
  TestBoot(2 << 20).load(image);
  image.resize(608 << 10);
  TestBoot(kMinimumMemory).load(image);
  image.push_back(0);
  contains(refusal_of(image), "of no known kind");
}

TEST_CASE("a compressed kernel is refused with the way to unpack it") {
  contains(refusal_of({0x1f, 0x8b, 8, 0, 1, 2, 3}), "gzip -d");
  contains(refusal_of({0x28, 0xb5, 0x2f, 0xfd, 1}), "zstd -d");
  contains(refusal_of({0xfd, '7', 'z', 'X', 'Z', 0}), "xz -d");
  contains(refusal_of(text("BZh91AY")), "bzip2 -d");
  contains(refusal_of({0x02, 0x21, 0x4c, 0x18, 1}), "lz4 -d");
}

TEST_CASE("an initrd given as the kernel is told apart") { contains(refusal_of(text("07070100000000")), "--initrd"); }

TEST_CASE("the first sector of a Linux kernel alone is truncated, not a boot sector") {
  Bytes sector = bzimage();
  put(sector, 0, std::uint16_t{0x5a4d});
  sector.resize(512);
  contains(refusal_of(sector), "truncated");
}

TEST_CASE("ELF magic alone is truncated, not flat") {
  contains(refusal_of(text("\x7f"
                           "ELF\x01\x01")),
           "truncated");
}

}  // namespace tintype
