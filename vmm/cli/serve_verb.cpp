// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "checkpoint/standby/tcp.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "vmm/base/error.h"
#include "vmm/cli/nbdkit_plugin.h"
#include "vmm/cli/output.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"
#include "vmm/control/unix_socket.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

/// Where nbdkit listens, as its options and as clients name it.
struct Address {
  std::vector<std::string> options;
  std::string uri;
  std::optional<TcpAddress> tcp{};
  fs::path socket{};
};

Address parse_address(const std::string& text) {
  if (text.starts_with("unix:")) {
    const std::string path = absolute_path(text.substr(5), "--listen");
    return {{"--unix", path}, "nbd+unix:///?socket=" + path, {}, path};
  }
  const auto colon = text.rfind(':');
  const std::string host = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
  const std::string port = colon == std::string::npos ? text : text.substr(colon + 1);
  const bool is_number = !port.empty() && port.find_first_not_of("0123456789") == std::string::npos;
  const std::uint64_t number = is_number ? parse_number(port, "--listen") : 0;
  if (number == 0 || number > 65535 || host.empty())
    throw UsageError("--listen cannot be \"{}\": give unix:PATH, or [HOST:]PORT", text);
  return {{"--ipaddr", host, "--port", port}, fmt::format("nbd://{}:{}", host, port), TcpAddress{host, port}};
}

/// A socket that nobody listens at any more is in the way.
void check_socket(const fs::path& path) {
  if (connect_to_unix_socket(path)) throw Error("somebody listens at {} already: name another --listen", path.string());
  if (errno == ECONNREFUSED && fs::is_socket(path)) fs::remove(path);
}

/// nbdkit says less well what is wrong with an address, and says it late.
void check_free(const Address& address) {
  if (address.tcp) static_cast<void>(listen_at(*address.tcp));
  if (!address.socket.empty()) check_socket(address.socket);
}

class ServeVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.number("--id", id_, "Which checkpoint, by default the newest");
    options.text("--disk", "ID", disk_, "Which of its disks, by default disk0");
    options.text("--listen", "ADDR", listen_,
                 "unix:PATH, or [HOST:]PORT; by default 127.0.0.1:10809, with --run a socket of its own");
    options.text("--run", "COMMAND", command_,
                 "Serve only while this shell command runs; in it $uri is the address, and it ends with its code");
    options.footer(
        "The disk is read-only, and nothing is restored. nbdkit serves it until Ctrl-C; qemu-nbd, nbdfuse,\n"
        "nbdcopy, guestfish and the like can read it. Whoever can reach the address may read all of the disk.");
  }

  int run(Output& output) override {
    if (command_ && command_->empty()) throw UsageError("--run is empty: say which command is to run");
    const Address address = listens_for_command_only() ? kOfCommand : parse_address(listen_.value_or(kUsual));
    const std::string disk = disk_.value_or("disk0");
    const std::uint64_t id = checked_id(disk);
    check_free(address);
    std::vector<std::string> words{"nbdkit", "--foreground", "--readonly"};
    words.insert(words.end(), address.options.begin(), address.options.end());
    if (command_) words.insert(words.end(), {"--run", *command_});
    words.insert(words.end(),
                 {nbdkit_plugin(), "repository=" + repository_.string(), fmt::format("id={}", id), "disk=" + disk});
    if (!command_) {
      output.line("{} of checkpoint {} is at {} until Ctrl-C.", disk, id, address.uri);
      output.result({{"repository", path_to_json(repository_)}, {"id", id}, {"disk", disk}, {"uri", address.uri}});
    }
    become(words);
  }

 private:
  static constexpr const char* kUsual = "127.0.0.1:10809";
  /// A socket that nobody else knows, and that goes with the command.
  inline static const Address kOfCommand{{"--unix", "-"}, ""};
  bool listens_for_command_only() const { return command_ && !listen_; }

  /// What is wrong with the checkpoint is said by us, and not by nbdkit.
  std::uint64_t checked_id(const std::string& disk) const {
    const CheckpointReader checkpoint(repository_, id_);
    checkpoint.require(Portion::kDisks);
    if (checkpoint.disk(disk) == nullptr) {
      throw Error("checkpoint {} has no disk \"{}\": `tintype show {} --id {}` shows its disks",
                  checkpoint.manifest().id, disk, repository_.string(), checkpoint.manifest().id);
    }
    return checkpoint.manifest().id;
  }

  [[noreturn]] static void become(std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    std::fflush(stdout);
    ::execvp("nbdkit", pointers.data());
    throw Error("nbdkit cannot be started ({}): install the package nbdkit", errno_text(errno));
  }

  std::filesystem::path repository_;
  std::optional<std::uint64_t> id_;
  std::optional<std::string> disk_, listen_, command_;
};

}  // namespace

std::unique_ptr<Verb> make_serve_verb() { return std::make_unique<ServeVerb>(); }

}  // namespace tintype
