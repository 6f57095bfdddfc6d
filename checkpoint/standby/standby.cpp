// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/standby.h"

#include <algorithm>

#include "checkpoint/backup/transfer.h"
#include "checkpoint/standby/link_words.h"
#include "checkpoint/store/repository.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/printable.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHandshakePatience = std::chrono::seconds(5), kSilence = std::chrono::seconds(30);
constexpr milliseconds kGlance{20};
constexpr std::size_t kMostSessions = 16;

}  // namespace

/// A session that does not listen: what is said meanwhile is heard afterwards.
class Standby::Busy {
 public:
  explicit Busy(Standby& standby) : standby_(standby) { change(1); }
  ~Busy() { change(-1); }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

  /// Listens in between.
  std::size_t receive(SecureChannel& channel, std::span<std::byte> into) {
    change(-1);
    try {
      const std::size_t count = channel.receive(into);
      change(1);
      return count;
    } catch (...) {
      change(1);
      throw;
    }
  }

 private:
  void change(int by) noexcept {
    const std::lock_guard lock(standby_.mutex_);
    standby_.busy_ += static_cast<unsigned>(by);
    if (standby_.heard_) standby_.heard_ = Clock::now();
    standby_.silence_.heard();
  }

  Standby& standby_;
};

Standby::Standby(StandbyOptions options)
    : options_(std::move(options)),
      listener_(listen_at(options_.listen)),
      housekeeper_(options_.repository, {options_.keep, {}, false, known_}, options_.may_prune) {
  static_cast<void>(Repository::create(options_.repository));
  thread_ = std::thread([this] { listen(); });
}

Standby::~Standby() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (current_ != nullptr) current_->shut_down();
  }
  thread_.join();
  for (Session& session : sessions_) session.thread.join();
}

StandbyStatus Standby::status() const {
  StandbyStatus status;
  status.latest = newest();
  const std::lock_guard lock(mutex_);
  status.vm = vm_;
  status.received = received_;
  status.connected = current_ != nullptr;
  status.promoted = promoted_;
  status.problem = problem_;
  if (heard_) {
    const auto silent = std::chrono::duration_cast<milliseconds>(Clock::now() - *heard_).count();
    status.silent_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(silent, 1));
  }
  return status;
}

// ---- who calls ----

void Standby::listen() noexcept {
  name_this_thread("standby");
  block_signals_in_this_thread();
  while (!ending_) {
    UniqueFd socket = accept_one(listener_.get(), kGlance);
    forget_finished_sessions();
    if (socket && sessions_.size() < kMostSessions) {
      Session& session = sessions_.emplace_back();
      session.thread = std::thread([this, &session, moved = std::make_shared<UniqueFd>(std::move(socket))] {
        serve(std::move(*moved));
        session.over = true;
      });
    }
    look_for_loss();
  }
}

void Standby::forget_finished_sessions() {
  sessions_.remove_if([](Session& session) {
    if (!session.over) return false;
    session.thread.join();
    return true;
  });
}

/// Whatever comes from a stranger, or from a friend whose connection broke, ends this session and nothing else.
void Standby::serve(UniqueFd socket) noexcept {
  name_this_thread("standby-session");
  block_signals_in_this_thread();
  try {
    SecureChannel channel(std::move(socket), ChannelEnd::kServer, options_.key, kHandshakePatience);
    try {
      talk(channel);
    } catch (...) {
      end_session(channel);
      throw;
    }
    end_session(channel);
  } catch (const std::exception& error) {
    if (!promoted_ && !ending_) log_note("standby: {}", printable(error.what()));
  }
}

void Standby::talk(SecureChannel& channel) {
  const std::string hello = channel.receive_line();
  if (!hello.starts_with(link_words::kHello)) throw Error("somebody with the key speaks another version");
  if (promoted_) return channel.send_line(link_words::kReplaced);
  begin_session(channel, hello.substr(link_words::kHello.size()));
  channel.set_patience(kSilence);
  channel.send_line(std::string(link_words::kHave) + newest_identity());
  while (answer(channel, channel.receive_line())) {
  }
}

/// False where there is nothing more to say.
bool Standby::answer(SecureChannel& channel, const std::string& line) {
  if (promoted_) {
    channel.send_line(link_words::kReplaced);
    return false;
  }
  heard();
  Busy busy(*this);
  if (line == link_words::kBeat) {
    channel.send_line(link_words::kBeat);
  } else if (line == link_words::kStream) {
    take_in(channel, busy);
  } else if (line == link_words::kBye) {
    const std::lock_guard lock(mutex_);
    heard_.reset();
    return false;
  } else {
    throw Error("somebody with the key says something else");
  }
  return true;
}

// It is acknowledged when it is whole, named, and on the device. One that came to be whole in the moment of a promotion
// is not, but counts.
void Standby::take_in(SecureChannel& channel, Busy& busy) {
  std::string identity;
  std::uint64_t id = 0;
  try {
    const std::lock_guard lock(importing_);
    if (promoted_) return;
    const auto carried = receive_checkpoints(
        options_.repository, [&](std::span<std::byte> into) { return busy.receive(channel, into); }, {}, known_);
    identity = carried.back().identity;
    id = carried.back().id;
  } catch (const std::exception& error) {
    {
      const std::lock_guard lock(mutex_);
      problem_ = error.what();
    }
    if (!promoted_) refuse(channel, error.what());
    throw;
  }
  if (promoted_) return;
  {
    const std::lock_guard lock(mutex_);
    ++received_;
    problem_.clear();
  }
  channel.send_line(std::string(link_words::kKept) + identity);
  if (options_.on_checkpoint) options_.on_checkpoint(id);
  housekeeper_.ask();
}

/// What is still on its way is read for a while: who hangs up on it would have his last words thrown away.
void Standby::refuse(SecureChannel& channel, const std::string& why) const {
  channel.send_line(std::string(link_words::kError) + why);
  channel.set_patience(std::chrono::seconds(1));
  std::vector<std::byte> unwanted(64 << 10);
  for (const auto end = Clock::now() + std::chrono::seconds(5); Clock::now() < end && !ending_ && !promoted_;) {
    if (channel.receive(unwanted) == 0) return;
  }
}

/// Who called last is the one that counts: an older connection may be one that broke, and does not know it.
void Standby::begin_session(SecureChannel& channel, const std::string& vm) {
  const std::lock_guard lock(mutex_);
  if (current_ != nullptr) current_->shut_down();
  current_ = &channel;
  vm_ = vm;
  heard_ = Clock::now();
  silence_.heard();
}

void Standby::end_session(SecureChannel& channel) noexcept {
  const std::lock_guard lock(mutex_);
  if (current_ == &channel) current_ = nullptr;
}

void Standby::heard() {
  const std::lock_guard lock(mutex_);
  heard_ = Clock::now();
  silence_.heard();
}

// ---- promotion ----

void Standby::look_for_loss() {
  if (!options_.promote_after || promoted_) return;
  {
    const std::lock_guard lock(mutex_);
    if (!heard_ || silence_.look(Clock::now(), busy_ == 0) < *options_.promote_after) return;
  }
  try {
    if (newest() != 0 && try_to_promote()) log_note("standby: nothing was heard of the first machine, which is lost");
  } catch (const std::exception& error) {
    log_note("standby: it cannot be promoted now: {}", error.what());
  }
}

void Standby::promote() {
  if (newest() == 0)
    throw Error("nothing whole has come to {} yet: there is nothing to run", options_.repository.string());
  if (!try_to_promote())
    throw Error("the witness says that another one holds the machine: end that one first, or wait for its lease");
}

bool Standby::try_to_promote() {
  const std::lock_guard one(promoting_);
  if (promoted_) return true;
  if (options_.may_promote && !options_.may_promote()) return false;
  promoted_ = true;
  housekeeper_.stop();
  {
    const std::lock_guard lock(mutex_);
    if (current_ != nullptr) current_->shut_down();
  }
  const std::lock_guard imported(importing_);  // what was under way is whole now, or gone
  changed_.notify_all();
  return true;
}

bool Standby::wait_until_promoted(milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::min(patience, kGlance), [this] { return promoted_.load(); });
  lock.unlock();
  if (!promoted_) return false;
  const std::lock_guard imported(importing_);
  return true;
}

std::uint64_t Standby::newest() const {
  const auto ids = Repository::open(options_.repository).ids();
  return ids.empty() ? 0 : ids.back();
}

std::string Standby::newest_identity() const {
  const Repository repository = Repository::open(options_.repository, known_);
  const std::uint64_t id = newest();
  return id == 0 ? "-" : repository.read_manifest(repository.directory_of(id), id)->identity;
}

}  // namespace tintype
