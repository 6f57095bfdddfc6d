// SPDX-License-Identifier: Apache-2.0
// Drives a fuzz target where there is no libFuzzer: makes inputs from a seed until the time is up, or runs
// the files it is given.
//
//   NAME_fuzz --seconds 60 --seed 7        NAME_fuzz INPUT...
//
// The input being run lies in a file all the time (--input-file, by default NAME_fuzz.input here), so that
// one that kills the program is left there, to be given as INPUT.
#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/generator.h"
#include "vmm/base/io.h"
#include "vmm/base/mapping.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tintype {
namespace {

using Clock = std::chrono::steady_clock;
using Input = std::vector<std::uint8_t>;
constexpr std::size_t kLongest = 64 << 10;

struct Options {
  unsigned seconds = 10;
  std::uint64_t seed = 1;
  std::string input_file;
  std::vector<std::string> replay;
};

Options parse(int argc, char** argv) {
  Options options;
  options.input_file = std::filesystem::path(argv[0]).filename().string() + ".input";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--seconds" && has_value) {
      options.seconds = static_cast<unsigned>(std::stoul(argv[++i]));
    } else if (word == "--seed" && has_value) {
      options.seed = std::stoull(argv[++i]);
    } else if (word == "--input-file" && has_value) {
      options.input_file = argv[++i];
    } else if (word.starts_with("-")) {
      std::fprintf(stderr, "usage: %s [--seconds N] [--seed S] [--input-file FILE] [INPUT...]\n", argv[0]);
      std::exit(2);
    } else {
      options.replay.push_back(word);
    }
  }
  return options;
}

/// Holds the input that is being run. Shared with the file, so it survives any death of the program.
class CurrentInput {
 public:
  explicit CurrentInput(const std::string& path) : fd_(open_file(path, O_RDWR | O_CREAT)), path_(path) {
    std::filesystem::resize_file(path, kLongest);
    mapping_ = Mapping::of_fd(fd_.get(), kLongest);
  }
  ~CurrentInput() { std::filesystem::remove(path_); }
  // What follows the input is zero, which is what the target reads past its end anyway, and the last steps
  // are then harmless.
  void set(const Input& input) {
    std::memset(mapping_.data(), 0, kLongest);
    std::memcpy(mapping_.data(), input.data(), input.size());
  }

 private:
  UniqueFd fd_;
  std::string path_;
  Mapping mapping_;
};

void mutate(std::mt19937_64& random, Input& input) {
  for (auto left = random() % 4; left > 0 && !input.empty(); --left) {
    std::uint8_t& byte = input[random() % input.size()];
    byte = random() % 2 == 0 ? static_cast<std::uint8_t>(random())
                             : static_cast<std::uint8_t>(byte ^ (1U << random() % 8));
  }
}

int generate(const Options& options) {
  CurrentInput current(options.input_file);
  const auto end = Clock::now() + std::chrono::seconds(options.seconds);
  std::uint64_t runs = 0;
  for (; Clock::now() < end; ++runs) {
    std::mt19937_64 random(options.seed * 0x9e3779b97f4a7c15ULL + runs);
    Input input = generate_input(random);
    if (random() % 2 == 0) mutate(random, input);
    input.resize(std::min(input.size(), kLongest));
    current.set(input);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("Done %llu runs in %u seconds, seed %llu\n", static_cast<unsigned long long>(runs), options.seconds,
              static_cast<unsigned long long>(options.seed));
  return runs == 0 ? 1 : 0;
}

void replay(const std::string& path) {
  const std::string text = read_text_file(path);
  std::printf("running %s, %zu bytes\n", path.c_str(), text.size());
  std::fflush(stdout);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

}  // namespace
}  // namespace tintype

int main(int argc, char** argv) {
  const tintype::Options options = tintype::parse(argc, argv);
  if (options.replay.empty()) return tintype::generate(options);
  for (const std::string& path : options.replay) tintype::replay(path);
}
