// SPDX-License-Identifier: Apache-2.0
// Checkpoints on their way from one repository to another: at once, or as a stream through a pipe, ssh, or a file.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "checkpoint/backup/transfer.h"
#include "checkpoint/store/sparse_file.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/unnamed_file.h"
#include "vmm/cli/destination.h"
#include "vmm/cli/output.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"

namespace tintype {

using nlohmann::json;

namespace {

json as_json(const std::vector<Carried>& all) {
  json list = json::array();
  for (const Carried& each : all) {
    list.push_back({{"from", each.from},
                    {"id", each.id},
                    {"vm", each.vm},
                    {"identity", each.identity},
                    {"bytes", each.bytes},
                    {"already", each.already},
                    {"meanwhile", each.meanwhile},
                    {"base", each.base}});
  }
  return list;
}

json as_json(const std::vector<LeftBehind>& all) {
  json list = json::array();
  for (const LeftBehind& each : all) list.push_back({{"from", each.id}, {"why", each.why}});
  return list;
}

std::string what_came_of(const Carried& each) {
  if (each.meanwhile) return "was brought by somebody else meanwhile";
  if (each.already) return "was there already";
  return fmt::format("{} carried{}", format_size(each.bytes), each.base ? ", for those that build on it" : "");
}

void print_arrivals(const std::vector<Carried>& all, Output& output) {
  for (const Carried& each : all) {
    output.line("{:>8} -> {:>8}  {:<16} {}", each.from, each.id, each.vm, what_came_of(each));
  }
  if (all.empty()) output.line("There was nothing to carry.");
}

class CopyVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(from_);
    options.positional("REPO2", to_, "Where they go, made where it is missing");
    options.number("--id", id_, "Only this checkpoint, and what it builds on; by default all");
    options.footer("What is damaged is left behind, and named; the others are carried, and the exit code is 1.");
  }

  int run(Output& output) override {
    const auto to = repository_name(to_, "REPO2");
    std::vector<LeftBehind> left;
    const auto all = copy_checkpoints(from_, to, id_, output.progress(), id_ ? nullptr : &left);
    output.end_progress();
    if (!all.empty() || left.empty()) print_arrivals(all, output);
    for (const LeftBehind& each : left) output.line("{:>8}    NOT CARRIED: {}", each.id, each.why);
    output.result({{"from", path_to_json(from_)},
                   {"to", path_to_json(to)},
                   {"checkpoints", as_json(all)},
                   {"left_behind", as_json(left)}});
    return left.empty() ? 0 : 1;
  }

 private:
  std::filesystem::path from_;
  std::string to_;
  std::optional<std::uint64_t> id_;
};

class SendVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.number("--id", id_, "Which checkpoint, by default the newest; what it builds on comes with it");
    options.number("--from", after_, "Only what comes after this checkpoint, which the other side has");
    options.path("--output", "FILE", file_, "Write the stream to this file, by default to stdout");
  }

  int run(Output& output) override {
    if (!file_ && output.json()) throw UsageError("with --json stdout is not for the stream: give --output FILE");
    if (!file_ && ::isatty(STDOUT_FILENO) == 1)
      throw UsageError("the stream is not for a terminal: send it to `tintype receive`, or to a file with --output");
    if (!file_) {
      send_checkpoint(repository_, id_, after_, put_to(STDOUT_FILENO), output.progress());
      output.end_progress();
      return 0;
    }
    const auto all = write_file(output);
    output.end_progress();
    for (const Carried& each : all)
      output.line("{:>8}  {:<16} {}{}", each.from, each.vm, format_size(each.bytes),
                  each.base ? ", for those that build on it" : "");
    output.result(
        {{"repository", path_to_json(repository_)}, {"file", path_to_json(*file_)}, {"checkpoints", as_json(all)}});
    return 0;
  }

 private:
  std::vector<Carried> send_to(int fd, Output& output) const {
    auto all = send_checkpoint(repository_, id_, after_, put_to(fd), output.progress());
    if (::fsync(fd) != 0 && errno != EINVAL && errno != EROFS) throw_errno("sync {}", file_->string());
    return all;
  }

  /// A file has its name when all of it is there: half a stream would look like one. What is no file (a pipe, a tape)
  /// is written to.
  std::vector<Carried> write_file(Output& output) const {
    check_outside(repository_, *file_);
    check_may_be_replaced(*file_);
    std::error_code missing;
    const auto kind = std::filesystem::status(*file_, missing).type();
    if (kind != std::filesystem::file_type::not_found && kind != std::filesystem::file_type::regular)
      return send_to(open_file(*file_, O_WRONLY).get(), output);
    const std::filesystem::path name = replaceable_name(*file_);
    UnnamedFile file(name.parent_path());
    auto all = send_to(file.fd(), output);
    file.replace(name);
    return all;
  }

  std::filesystem::path repository_;
  std::optional<std::uint64_t> id_, after_;
  std::optional<std::filesystem::path> file_;
};

class ReceiveVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.path("--input", "FILE", file_, "Read the stream from this file, by default from stdin");
  }

  int run(Output& output) override {
    if (!file_ && ::isatty(STDIN_FILENO) == 1)
      throw UsageError("give the stream on stdin, as in `tintype send REPO | tintype receive REPO`, or --input FILE");
    const UniqueFd file = file_ ? open_file(*file_, O_RDONLY) : UniqueFd();
    const auto all = receive_checkpoints(repository_, get_from(file ? file.get() : STDIN_FILENO), output.progress());
    output.end_progress();
    print_arrivals(all, output);
    output.result({{"repository", path_to_json(repository_)}, {"checkpoints", as_json(all)}});
    return 0;
  }

 private:
  std::filesystem::path repository_;
  std::optional<std::filesystem::path> file_;
};

}  // namespace

std::unique_ptr<Verb> make_copy_verb() { return std::make_unique<CopyVerb>(); }
std::unique_ptr<Verb> make_send_verb() { return std::make_unique<SendVerb>(); }
std::unique_ptr<Verb> make_receive_verb() { return std::make_unique<ReceiveVerb>(); }

}  // namespace tintype
