// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "checkpoint/format/part_format.h"
#include "tests/unit/format/changed_byte.h"
#include "tests/unit/format/scratch.h"

namespace tintype {
namespace {

using namespace checkpoint_test;

struct Recording {
  ScratchDirectory scratch{quick_directory()};
  std::filesystem::path file = scratch / "stream";

  Recording() {
    const UniqueFd fd = open_file(file, O_WRONLY | O_CREAT, 0600);
    StreamWriter stream(put_to(fd.get()));
    stream.put(FrameKind::kFile, "memory.part");
    stream.put(FrameKind::kData, "some bytes");
    stream.put(FrameKind::kEnd, "");
  }

  /// How many frames can be read.
  int read() const {
    const UniqueFd fd = open_file(file, O_RDONLY);
    StreamReader stream(get_from(fd.get()));
    for (int frames = 1;; ++frames)
      if (stream.next().kind == FrameKind::kEnd) return frames;
  }
  std::string text() const { return read_text_file(file); }
  void set(const std::string& text) const {
    const UniqueFd fd = open_file(file, O_RDWR | O_TRUNC);
    write_exactly(fd.get(), std::as_bytes(std::span(text)), 0, "test");
  }
};

}  // namespace

TEST_CASE("what is written comes back") {
  const Recording recording;
  const UniqueFd fd = open_file(recording.file, O_RDONLY);
  StreamReader stream(get_from(fd.get()));
  CHECK(stream.next().text() == "memory.part");
  const Frame data = stream.next();
  CHECK(data.kind == FrameKind::kData);
  CHECK(data.text() == "some bytes");
  CHECK(stream.next().kind == FrameKind::kEnd);
}

TEST_CASE("a changed byte anywhere, and an end anywhere, is found") {
  const Recording recording;
  REQUIRE(recording.read() == 3);
  const std::string whole = recording.text();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    CAPTURE(i);
    const UniqueFd fd = open_file(recording.file, O_RDWR);
    const ChangedByte changed(fd, i, std::byte{4});
    CHECK_THROWS_AS(recording.read(), ImageError);
  }
  for (std::size_t end = 0; end < whole.size(); ++end) {
    recording.set(whole.substr(0, end));
    CHECK_THROWS_AS(recording.read(), ImageError);
  }
}

TEST_CASE("a frame that was left out, or came twice, is found") {
  const Recording recording;
  const std::string whole = recording.text();
  const std::size_t first = 16 + 24 + 11 + 8;  // header, and the first frame
  for (const auto& text : {whole.substr(0, 16) + whole.substr(first), whole.substr(0, first) + whole.substr(16)}) {
    recording.set(text);
    CHECK_THROWS_AS(recording.read(), ImageError);
  }
}

}  // namespace tintype
