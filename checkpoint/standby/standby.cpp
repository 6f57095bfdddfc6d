// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/standby.h"

#include <fcntl.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "checkpoint/backup/transfer.h"
#include "checkpoint/standby/link_words.h"
#include "checkpoint/store/repository.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/log.h"
#include "vmm/base/printable.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHandshakePatience = std::chrono::seconds(5), kSilence = std::chrono::seconds(30);
/// After it could not be promoted it is tried again.
constexpr milliseconds kGlance{20}, kTryAgain{200};
constexpr milliseconds kNoteStrangers = std::chrono::seconds(10);
/// So long after a first machine was last heard it may still say that it stands still.
constexpr milliseconds kLastWord = std::chrono::seconds(2);

/// Made where it is missing, and this standby's as long as the descriptor is open.
UniqueFd claim(const std::filesystem::path& repository) {
  static_cast<void>(Repository::create(repository));
  UniqueFd directory = open_file(repository, O_RDONLY | O_DIRECTORY);
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    throw Error("another standby keeps its checkpoints in {}: end that one, or name another directory",
                repository.string());
  return directory;
}

struct Greeting {
  std::string witness, vm;
};

Greeting greeting_of(const std::string& line) {
  if (!line.starts_with(link_words::kHello)) throw Error("somebody with the key speaks another version");
  const auto words = line.substr(link_words::kHello.size());
  const auto space = words.find(' ');
  if (space == words.npos || space + 1 == words.size())
    throw Error("somebody with the key does not say whose checkpoints come");
  return {words.substr(0, space), words.substr(space + 1)};
}

/// Who hangs up on what is still on its way would have his own last words thrown away.
void read_what_comes(SecureChannel& channel, milliseconds longest, const std::function<bool()>& is_enough) {
  std::vector<std::byte> unwanted(64 << 10);
  for (const auto end = std::chrono::steady_clock::now() + longest;
       std::chrono::steady_clock::now() < end && !is_enough();) {
    if (channel.receive(unwanted) == 0) return;
  }
}

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
      claim_(claim(options_.repository)),
      listener_(listen_at(options_.listen)),
      housekeeper_(options_.repository, {options_.keep, {}, false, known_}, options_.may_prune) {
  thread_ = std::thread([this] { listen(); });
}

Standby::~Standby() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (current_ != nullptr) current_->shut_down();
  }
  thread_.join();
}

StandbyStatus Standby::status() const {
  StandbyStatus status;
  std::string trouble;
  try {
    status.latest = newest();
  } catch (const std::exception& error) {
    trouble = error.what();
  }
  const std::string kept = vm_of_newest();
  const std::lock_guard lock(mutex_);
  status.vm = vm_.empty() ? kept : vm_;
  status.received = received_;
  status.connected = current_ != nullptr;
  status.promoted = promoted_;
  status.problem = trouble.empty() ? problem_ : trouble;
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
    if (!callers_.make_room()) {
      std::this_thread::sleep_for(kGlance);
    } else if (UniqueFd socket = accept_one(listener_.get(), kGlance)) {
      callers_.take(std::move(socket));
    }
    look_for_loss();
  }
}

/// Whatever comes from a stranger, or from a friend whose connection broke, ends this session and nothing else.
void Standby::serve(UniqueFd socket, std::atomic<bool>& has_key) noexcept {
  name_this_thread("standby-session");
  block_signals_in_this_thread();
  try {
    SecureChannel channel(std::move(socket), ChannelEnd::kServer, options_.key, kHandshakePatience);
    has_key = true;
    try {
      talk(channel);
    } catch (...) {
      end_session(channel);
      throw;
    }
    end_session(channel);
  } catch (const std::exception& error) {
    if (!promoted_ && !ending_ && (has_key || is_first_stranger_for_long()))
      log_note("standby: {}", printable(error.what()));
  }
}

/// Of strangers, who may be many, one now and then is noted.
bool Standby::is_first_stranger_for_long() {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (stranger_noted_ && now < *stranger_noted_ + kNoteStrangers) return false;
  stranger_noted_ = now;
  return true;
}

void Standby::talk(SecureChannel& channel) {
  const std::string line = channel.receive_line();
  if (promoted_ && line.starts_with(link_words::kAnyHello)) return send_replaced(channel);
  const Greeting greeting = greeting_of(line);
  if (const std::string why = why_not_with(greeting.witness); !why.empty()) return turn_away(channel, greeting.vm, why);
  std::shared_ptr<const Manifest> has;
  try {
    has = newest_manifest();
  } catch (const std::exception& error) {
    return turn_away(channel, greeting.vm, error.what());
  }
  if (const std::string other = begin_session(channel, greeting.vm, has ? has->vm : ""); !other.empty())
    return turn_away(channel, greeting.vm,
                     fmt::format("it is for the machine {}, and this one is called {}: start another standby, with a "
                                 "repository of its own",
                                 other, greeting.vm));
  channel.set_patience(kSilence);
  channel.send_line(std::string(link_words::kHave) + (has ? has->identity : "-"));
  try {
    while (!promoted_ && answer(channel, channel.receive_line())) {
    }
  } catch (const std::exception&) {
    if (!promoted_) throw;
  }
  if (promoted_) tell_replaced(channel);
}

/// Two that ask different witnesses would both be told that they may run the machine.
std::string Standby::why_not_with(std::string_view witness) const {
  const bool none = witness == link_words::kNoWitness;
  if (none && options_.witness)
    return "the standby asks a witness before it runs the machine, and the first computer asks none, so that both "
           "might run it: say --witness there, too (tintype backup --to ... --witness URL)";
  if (!none && !options_.witness)
    return "the first computer asks a witness before it runs the machine, and the standby asks none, so that both "
           "might run it: start the standby with that --witness, too (a machine keeps the one it had until it ends)";
  if (none) return {};
  const std::string mine = options_.witness();
  if (mine.empty() || mine == witness) return {};
  return "the two computers ask different witnesses, so that both might run the machine: name the same etcd to both";
}

/// False where there is nothing more to say.
bool Standby::answer(SecureChannel& channel, const std::string& line) {
  if (promoted_) return false;
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
    require_repository();
    const auto get = [&](std::span<std::byte> into) {
      if (promoted_) throw Error("nothing is taken in any more");
      return busy.receive(channel, into);
    };
    const auto carried = receive_checkpoints(options_.repository, get, {}, known_);
    if (carried.empty()) throw Error("a stream without a checkpoint came");
    identity = carried.back().identity;
    id = carried.back().id;
  } catch (const std::exception& error) {
    note_problem(error.what());
    if (!promoted_) refuse_if_heard(channel, error.what());
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

/// Who has the key, and cannot be served, is told why; so is whoever looks here.
void Standby::turn_away(SecureChannel& channel, const std::string& vm, const std::string& why) {
  const std::string problem = fmt::format("a machine {} called in vain: {}", printable(vm), printable(why));
  if (status().problem != problem) log_note("standby: {}", problem);
  note_problem(problem);
  refuse_if_heard(channel, why);
}

void Standby::note_problem(const std::string& what) {
  const std::lock_guard lock(mutex_);
  problem_ = what;
}

void Standby::refuse(SecureChannel& channel, const std::string& why) const {
  channel.send_line(std::string(link_words::kError) + why);
  channel.set_patience(std::chrono::seconds(1));
  read_what_comes(channel, std::chrono::seconds(5), [this] { return ending_ || promoted_; });
}

/// Of who is gone already nobody need know that he was not told why.
void Standby::refuse_if_heard(SecureChannel& channel, const std::string& why) const noexcept {
  try {
    refuse(channel, why);
  } catch (const std::exception&) {
  }
}

/// Where the right to run was lost since, the first one may have it.
void Standby::send_replaced(SecureChannel& channel) const {
  if (!options_.is_rightful()) throw Error("a machine called, and which of the two may run is not known here");
  channel.send_line(link_words::kReplaced);
}

/// It hangs up when its machine stands still.
void Standby::tell_replaced(SecureChannel& channel) const {
  send_replaced(channel);
  channel.set_patience(kLastWord);
  read_what_comes(channel, kLastWord, [] { return false; });
}

/// Who called last is the one that counts: an older connection may be one that broke, and does not know it. `kept`: the
/// machine whose checkpoints are here; empty: nobody's. Returns the other machine that this standby is for.
std::string Standby::begin_session(SecureChannel& channel, const std::string& vm, const std::string& kept) {
  const std::lock_guard lock(mutex_);
  const std::string& mine = kept.empty() ? vm_ : kept;
  if (!mine.empty() && mine != vm) return mine;
  if (current_ != nullptr) current_->shut_down();
  current_ = &channel;
  vm_ = vm;
  heard_ = Clock::now();
  silence_.heard();
  return {};
}

void Standby::end_session(SecureChannel& channel) noexcept {
  const std::lock_guard lock(mutex_);
  if (current_ == &channel) {
    current_ = nullptr;
    if (received_ == 0) vm_.clear();  // another one may call
  }
  changed_.notify_all();
}

void Standby::heard() {
  const std::lock_guard lock(mutex_);
  heard_ = Clock::now();
  silence_.heard();
}

// ---- promotion ----

void Standby::look_for_loss() {
  if (!options_.promote_after || promoted_ || Clock::now() < not_promoted_at_ + kTryAgain) return;
  {
    const std::lock_guard lock(mutex_);
    // Where nobody but this one decides, a stranger who keeps the first one out must not have both run.
    const bool listening = busy_ == 0 && (!callers_.is_crowded() || options_.why_not_promote);
    if (!heard_ || silence_.look(Clock::now(), listening) < *options_.promote_after) return;
  }
  std::string why;
  try {
    if (newest() == 0) return;
    why = try_to_promote(Farewell::kNone);
  } catch (const std::exception& error) {
    why = error.what();
  }
  if (why.empty()) return log_note("standby: nothing was heard of the first machine, which is lost");
  not_promoted_at_ = Clock::now();
  if (why != why_not_promoted_) log_note("standby: it cannot be promoted now: {}", why);
  note_problem(why_not_promoted_ = why);
}

void Standby::promote() {
  if (newest() == 0)
    throw Error("nothing whole has come to {} yet: there is nothing to run", options_.repository.string());
  if (const std::string why = try_to_promote(Farewell::kTellTheFirst); !why.empty())
    throw Error("it cannot be promoted: {}", why);
}

/// Returns why not; nothing where it is promoted.
std::string Standby::try_to_promote(Farewell farewell) {
  const std::lock_guard one(promoting_);
  if (promoted_) return {};
  if (options_.why_not_promote) {
    if (std::string why = options_.why_not_promote(newest_manifest()->vm); !why.empty()) return why;
  }
  if (no_more_) return "it is being stopped";
  promoted_ = true;
  housekeeper_.stop();
  part(farewell);
  const std::lock_guard imported(importing_);  // what was under way is whole now, or gone
  changed_.notify_all();
  return {};
}

/// A first machine that lives is told in answer to whatever it says next, and has to stand still before this one runs.
void Standby::part(Farewell farewell) {
  std::unique_lock lock(mutex_);
  if (farewell == Farewell::kTellTheFirst && heard_)
    changed_.wait_until(lock, *heard_ + kLastWord, [this] { return current_ == nullptr; });
  if (current_ != nullptr) current_->shut_down();
}

bool Standby::wait_until_promoted(milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::min(patience, kGlance), [this] { return promoted_.load(); });
  lock.unlock();
  if (!promoted_) return false;
  const std::lock_guard done(promoting_);
  return true;
}

/// Not another directory that has got its name: the mount point of a device that is gone, say.
void Standby::require_repository() const {
  struct stat claimed = {}, named = {};
  const bool same = ::fstat(claim_.get(), &claimed) == 0 && ::stat(options_.repository.c_str(), &named) == 0 &&
                    claimed.st_dev == named.st_dev && claimed.st_ino == named.st_ino;
  if (!same)
    throw Error("the standby's repository {} is not there any more: bring it back (its name, or its device)",
                options_.repository.string());
}

std::uint64_t Standby::newest() const {
  require_repository();
  const auto ids = Repository::open(options_.repository).ids();
  return ids.empty() ? 0 : ids.back();
}

/// Empty where there is none, or none that can be read.
std::string Standby::vm_of_newest() const noexcept {
  try {
    const auto manifest = newest_manifest();
    return manifest ? manifest->vm : "";
  } catch (const std::exception&) {
    return {};
  }
}

std::shared_ptr<const Manifest> Standby::newest_manifest() const {
  const std::uint64_t id = newest();
  return id == 0 ? nullptr : Repository::open(options_.repository, known_).manifest_of(id);
}

}  // namespace tintype
