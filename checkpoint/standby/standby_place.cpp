// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/standby_place.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "checkpoint/backup/housekeeper.h"
#include "checkpoint/backup/transfer.h"
#include "checkpoint/standby/link_words.h"
#include "checkpoint/standby/secure_channel.h"
#include "checkpoint/store/chain.h"
#include "checkpoint/store/repository.h"
#include "checkpoint/store/repository_names.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/printable.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kBeat{100}, kAnswer = std::chrono::seconds(5), kImport = std::chrono::minutes(10),
                                   kAskAgain{200};
/// So long after a connection broke it is tried again, and then every so often.
constexpr milliseconds kAgain = std::chrono::seconds(1);
/// In the spool stays what the next one builds on.
constexpr const char* kSpoolKeeps = "last=2";

/// Outlives whoever works in it.
struct Spool {
  explicit Spool(fs::path directory) : path(std::move(directory)) {}
  ~Spool() {
    std::error_code left_behind;
    if (!is_needed) fs::remove_all(path, left_behind);
  }
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  const fs::path path;
  bool is_needed = true;
};

class StandbyPlace final : public BackupPlace {
 public:
  explicit StandbyPlace(StandbyLink link) : link_(std::move(link)), thread_([this] { beat(); }) {}
  ~StandbyPlace() override {
    {
      const std::lock_guard lock(beating_);
      ending_ = true;
      changed_.notify_all();
    }
    thread_.join();
    take_leave();
  }

  const fs::path& repository() const noexcept override { return link_.spool; }
  milliseconds longest_retry() const noexcept override { return std::chrono::seconds(2); }

  void look() override {
    const std::lock_guard lock(mutex_);
    if (replaced_) throw Error("the standby at {} runs this machine now: this one may not run on", where());
    if (!channel_) connect();
  }

  std::uint64_t bring(const fs::path& from, std::uint64_t id, const ProgressSink& progress) override {
    const std::lock_guard lock(mutex_);
    if (!channel_) throw Error("the standby at {} has hung up", where());
    return guarded([&] {
      channel_->send_line(link_words::kStream);
      const auto sent = send_checkpoint(
          from, id, last_common(from, id), [this](std::span<const std::byte> bytes) { send_unless_refused(bytes); },
          progress, known_);
      wait_until_kept(progress);
      expect(std::string(link_words::kKept) + sent.back().identity);
      has_ = sent.back().identity;
      return id;
    });
  }

  void prune(const std::optional<Retention>&, const ProgressSink&) override {
    if (!Repository::open(link_.spool).ids().empty()) housekeeper_.ask();  // else what was sent came from elsewhere
  }

  void give_up() noexcept override { spool_.is_needed = false; }

 private:
  std::string where() const { return link_.address.host + ":" + link_.address.port; }

  void connect() {
    channel_ =
        std::make_unique<SecureChannel>(connect_to(link_.address, kAnswer), ChannelEnd::kClient, link_.key, kAnswer);
    guarded([&] {
      channel_->send_line(fmt::format("{}{} {}", link_words::kHello,
                                      link_.witness.empty() ? link_words::kNoWitness : link_.witness, link_.vm));
      const std::string line = receive();
      if (!line.starts_with(link_words::kHave)) throw Error("the standby at {} speaks another version", where());
      has_ = line.substr(link_words::kHave.size());
      connected_ = std::chrono::steady_clock::now();
      return 0;
    });
  }

  /// What goes wrong ends the connection: the next one begins anew, and hears what the standby has.
  template <typename Talk>
  auto guarded(const Talk& talk) -> decltype(talk()) {
    try {
      return talk();
    } catch (...) {
      channel_.reset();
      throw;
    }
  }

  /// The standby says nothing while it takes something in, unless it cannot.
  void send_unless_refused(std::span<const std::byte> bytes) {
    if (channel_->has_something(milliseconds(0))) {
      static_cast<void>(receive());
      throw Error("the standby at {} says something else", where());
    }
    channel_->send(bytes);
  }

  /// The standby takes in what was sent, which may take long; `progress` throws where nobody wants that any more.
  void wait_until_kept(const ProgressSink& progress) {
    const auto end = std::chrono::steady_clock::now() + kImport;
    while (!channel_->has_something(kAskAgain)) {
      if (progress) progress({"acknowledge", 0, 1});
      if (std::chrono::steady_clock::now() > end)
        throw Error("the standby at {} takes too long to take in what was sent", where());
    }
  }

  std::string receive() {
    std::string line = channel_->receive_line();
    if (line == link_words::kReplaced) {
      replaced_ = true;
      link_.on_replaced(fmt::format("the standby at {} runs it now", where()));
      throw Error("the standby at {} runs this machine now: this one may not run on", where());
    }
    if (line.starts_with(link_words::kError))
      throw Error("the standby at {} did not take it: {}", where(), printable(line.substr(link_words::kError.size())));
    return line;
  }

  void expect(const std::string& wanted) {
    if (receive() != wanted) throw Error("the standby at {} says something else", where());
  }

  /// The id, in that repository, of what the standby has and this one builds on.
  std::optional<std::uint64_t> last_common(const fs::path& from, std::uint64_t id) const {
    const Chain chain = read_chain(Repository::open(from, known_), id,
                                   [this](const ChainLink& link) { return link.manifest->identity != has_; });
    const Manifest& last = *chain.back().manifest;
    return last.identity == has_ && last.id != id ? std::optional(last.id) : std::nullopt;
  }

  /// Between backups, on a thread of its own. While one is sent, that is sign enough. A connection that broke is made
  /// anew though no backup is due: the standby must not take this machine for lost because of it.
  void beat() noexcept {
    name_this_thread("standby-beat");
    block_signals_in_this_thread();
    for (std::unique_lock beating(beating_); !changed_.wait_for(beating, kBeat, [this] { return ending_; });) {
      const std::unique_lock lock(mutex_, std::try_to_lock);
      if (!lock) continue;
      try {
        if (!channel_ && !connect_again()) continue;
        guarded([&] {
          channel_->send_line(link_words::kBeat);
          expect(std::string(link_words::kBeat));
          return 0;
        });
      } catch (const std::exception&) {  // the next backup says what is wrong
      }
    }
  }

  /// False where it is not time for that, or where there was none that could have broken.
  bool connect_again() {
    const auto now = std::chrono::steady_clock::now();
    if (replaced_ || !connected_ || now < *connected_ + kAgain) return false;
    connected_ = now;
    connect();
    return true;
  }

  void take_leave() noexcept {
    const std::lock_guard lock(mutex_);
    if (!channel_) return;
    try {
      channel_->send_line(link_words::kBye);
    } catch (const std::exception&) {  // it is gone itself
    }
  }

  const StandbyLink link_;
  Spool spool_{link_.spool};
  const std::shared_ptr<KnownManifests> known_ = std::make_shared<KnownManifests>();
  Housekeeper housekeeper_{link_.spool, {parse_retention(kSpoolKeeps, "the spool"), {}, false, known_}};
  std::mutex mutex_;  // guards the next four
  std::unique_ptr<SecureChannel> channel_;
  std::string has_;  ///< identity of the newest that the standby has
  bool replaced_ = false;
  std::optional<std::chrono::steady_clock::time_point> connected_;  ///< last, or tried to
  std::mutex beating_;                                              // guards the next
  bool ending_ = false;
  std::condition_variable changed_;
  std::thread thread_;  // last: it uses all of the above
};

/// A spool of an earlier run of this computer is nothing to build on: what was written last may never have reached the
/// device. Says in the new one that nothing need.
void begin_spool(const fs::path& path) {
  const fs::path mark = path / repository_names::kScratchName;
  const std::string run = read_text_file("/proc/sys/kernel/random/boot_id");
  std::error_code missing;
  if (fs::exists(mark, missing) && read_text_file(mark) == run) return;
  for (const auto& entry : fs::directory_iterator(path)) fs::remove_all(entry.path());
  const UniqueFd file = open_file(mark, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  write_exactly(file.get(), std::as_bytes(std::span(run)), 0, mark.string());
}

}  // namespace

std::unique_ptr<BackupPlace> make_standby_place(StandbyLink link) {
  return std::make_unique<StandbyPlace>(std::move(link));
}

fs::path spool_directory(const std::string& vm, const TcpAddress& address) {
  const char* temporary = ::getenv("TMPDIR");
  std::string name = fmt::format("tintype-spool-{}-{}-{}-{}", ::geteuid(), vm, address.host, address.port);
  std::replace(name.begin(), name.end(), '/', '_');
  const fs::path path = fs::path(temporary != nullptr ? temporary : "/var/tmp") / name;
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) throw_errno("mkdir {}", path.string());
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) throw_errno("lstat {}", path.string());
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 077) != 0)
    throw Error("{} is not a directory of yours alone: remove it, or set TMPDIR", path.string());
  begin_spool(path);
  return path;
}

}  // namespace tintype
