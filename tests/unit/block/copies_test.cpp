// SPDX-License-Identifier: Apache-2.0
// Images that are copied, moved, linked and replaced while a log waits: each way is right, or refused with a sentence.
#include <fcntl.h>

#include <sys/xattr.h>

#include <cstdlib>
#include <thread>

#include <doctest/doctest.h>

#include "devices/block/image_mark.h"
#include "tests/support/skip.h"
#include "tests/unit/block/test_disk.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

/// a/disk.img with a log beside it: 0x22 in the log, above 0x11; a/old.img is a backup from before, with its time
/// stamp.
class Waiting {
 public:
  Waiting() {
    fs::create_directory(path("a")), fs::create_directory(path("b"));
    std::ofstream(image).flush();
    fs::resize_file(image, 1 << 20);
    {
      TestDisk test(image);
      REQUIRE(test.driver->fill(0, 1 << 20, 0x11) == 0);
      test.disk->close();
    }
    run("cp -p a/disk.img a/old.img");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // time stamps may be as coarse as a timer tick
    TestDisk test(image);
    REQUIRE(test.driver->fill(512 << 10, 4096, 0x33) == 0);
    auto frozen = test.freeze();
    REQUIRE(test.driver->fill(0, 4096, 0x22) == 0);
    frozen.reset();
    test.abandon();
  }

  fs::path path(const std::string& name) const { return directory.path() / name; }
  bool run(const std::string& command) const {
    return std::system(("cd " + directory.path().string() + " && " + command).c_str()) == 0;
  }
  bool marked() const { return ::getxattr(image.c_str(), kImageMarkAttribute, nullptr, 0) > 0; }
  void forget_mark(const fs::path& of) const { ::removexattr(of.c_str(), kImageMarkAttribute); }

  TempDir directory;
  fs::path image = path("a/disk.img");
};

/// "right", "refused" with a sentence that names the image, or what is wrong.
std::string outcome(const fs::path& image) {
  const std::string error = open_error(options_for(image));
  if (!error.empty()) return mentions(error, fs::canonical(image).string()) ? "refused" : "unclear: " + error;
  TestDisk test(image);
  const bool right = test.driver->holds(0, 4096, 0x22) && test.driver->holds(512 << 10, 4096, 0x33) &&
                     test.driver->holds(4096, 4096, 0x11);
  return right ? "right" : "silently wrong";
}

struct Way {
  const char* command;
  const char* opens;
  const char* with_mark;
  const char* without_mark;  ///< as on a file system that has no extended attributes
};

constexpr Way kWays[] = {
    {"true", "a/disk.img", "right", "right"},
    {"cp -a a/disk.img* b", "b/disk.img", "right", "right"},
    {"cp -p a/disk.img* b", "b/disk.img", "right", "right"},
    {"sleep 0.05; cp a/disk.img* b", "b/disk.img", "refused", "refused"},
    {"cp -a a/disk.img b", "b/disk.img", "refused", nullptr},
    {"cp -a a/. b && rm -r a", "b/disk.img", "right", "right"},
    {"mv a/disk.img a/other.img", "a/other.img", "right", "right"},
    {"mv a/disk.img b/other.img", "b/other.img", "right", nullptr},
    {"mv a/* b", "b/disk.img", "right", "right"},
    {"mv a c", "c/disk.img", "right", "right"},
    {"ln a/disk.img a/other.img", "a/other.img", "right", "right"},
    {"ln a/disk.img b/other.img", "b/other.img", "right", nullptr},
    {"ln -s ../a/disk.img b/link.img", "b/link.img", "right", "right"},
    {"cp -p a/old.img a/disk.img", "a/disk.img", "refused", "refused"},
    {"cp -a a/old.img a/disk.img", "a/disk.img", "refused", "refused"},
    {"mv a/old.img a/disk.img", "a/disk.img", "refused", "refused"},
    {"cat a/old.img > a/disk.img", "a/disk.img", "refused", "refused"},
    {"printf x | dd of=a/disk.img conv=notrunc status=none", "a/disk.img", "refused", "refused"},
    {"rm a/*.redo", "a/disk.img", "refused", nullptr},
    {"tar --format=posix -cf t a && tar -xf t -C b", "b/a/disk.img", "right", "right"},
    {"tar --format=ustar -cf t a && tar -xf t -C b", "b/a/disk.img", "refused", "refused"},  // times in whole seconds
    {"cp --reflink=auto --sparse=always -p a/disk.img* b && rm a/disk.img", "b/disk.img", "right", "right"},
};

void go(const Way& way, bool with_mark) {
  const char* const expected = with_mark ? way.with_mark : way.without_mark;
  if (expected == nullptr) return;
  CAPTURE(std::string(way.command));
  CAPTURE(with_mark);
  const Waiting waiting;
  if (!with_mark) waiting.forget_mark(waiting.image);
  REQUIRE(waiting.run(way.command));
  const std::string seen = outcome(waiting.path(way.opens));
  INFO(open_error(options_for(waiting.path(way.opens))));
  CHECK(seen == std::string(expected));
}

}  // namespace

TEST_CASE("an image that is copied, moved or replaced while a log waits is right or refused, never silently wrong") {
  if (!Waiting().marked()) SKIP_TEST("this file system has no extended attributes");
  for (const Way& way : kWays) go(way, true);
}

TEST_CASE("the same where the file system has no extended attributes, as far as anything there can tell") {
  for (const Way& way : kWays) go(way, false);
}

TEST_CASE("rsync keeps the time stamp, and so the log") {
  const Waiting waiting;
  if (!waiting.run("rsync -a a/ b/ 2>/dev/null")) SKIP_TEST("rsync is not installed");
  CHECK(outcome(waiting.path("b/disk.img")) == "right");
}

TEST_CASE("a refused log is taken, or given up, on the user's word") {
  const Waiting waiting;
  if (!waiting.marked()) SKIP_TEST("this file system has no extended attributes");
  REQUIRE(waiting.run("sleep 0.05; cp a/disk.img* b"));
  const auto copy = waiting.path("b/disk.img");
  const std::string error = open_error(options_for(copy));
  const auto start = error.find('`'), end = error.find('`', start + 1);
  REQUIRE(end != error.npos);
  const std::string command = error.substr(start + 1, end - start - 1);
  CHECK(mentions(command, "setfattr -n user.tintype.redo -v "));
  const std::string id = command.substr(command.find("-v ") + 3, 32);
  REQUIRE(::setxattr(copy.c_str(), kImageMarkAttribute, id.data(), id.size(), 0) == 0);
  CHECK(outcome(copy) == "right");
  CHECK(::getxattr(copy.c_str(), kImageMarkAttribute, nullptr, 0) < 0);
  CHECK(outcome(waiting.image) == "right");
  CHECK_FALSE(waiting.marked());
}

TEST_CASE("a mark that the file system does not take leaves no older one behind") {
  const TempDir directory;
  const fs::path image = directory.path() / "disk.img";
  const UniqueFd fd = open_file(image, O_RDWR | O_CREAT, 0600);
  write_image_mark(fd.get(), {new_image_mark_id(), 1, 1, "/logs"});
  if (!read_image_mark(fd.get())) SKIP_TEST("no extended attributes here");
  write_image_mark(fd.get(), {new_image_mark_id(), 1, 2, std::string(100'000, 'x')});  // more than Linux allows
  CHECK_FALSE(read_image_mark(fd.get()).has_value());
}

}  // namespace tintype
