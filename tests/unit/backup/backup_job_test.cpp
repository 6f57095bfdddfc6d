// SPDX-License-Identifier: Apache-2.0
// Backups on a schedule: places that fail, vanish and return; several places, and an instant that is captured once.
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/backup/backup_service.h"
#include "tests/support/becomes_true.h"
#include "vmm/base/error.h"
namespace tintype {
namespace {

using std::chrono::milliseconds;

/// A place that does what a test says.
struct Script {
  std::atomic<bool> broken = false;
  std::atomic<bool> vanished = false;  ///< with its device: what is written there makes it anew
  std::atomic<int> brought = 0, pruned = 0;
};

class FakePlace final : public BackupPlace {
 public:
  FakePlace(std::filesystem::path path, std::shared_ptr<Script> script)
      : path_(std::move(path)), script_(std::move(script)) {}
  const std::filesystem::path& repository() const noexcept override { return path_; }
  void look() override {
    if (script_->broken || script_->vanished) throw Error("the place {} is gone", path_.string());
  }
  std::uint64_t bring(const std::filesystem::path&, std::uint64_t id, const ProgressSink& progress) override {
    progress({"copy", 0, 1});
    ++script_->brought;
    return id;
  }
  void prune(const std::optional<Retention>&, const ProgressSink&) override { ++script_->pruned; }

 private:
  std::filesystem::path path_;
  std::shared_ptr<Script> script_;
};

/// A machine that counts its checkpoints, by where they went.
struct Rig {
  std::mutex mutex;
  std::map<std::string, int> taken;
  std::uint64_t last_id = 0;
  std::map<std::string, std::shared_ptr<Script>> scripts;
  std::atomic<int> chores = 0, verified = 0;
  std::string chores_say = "good";
  std::vector<std::string> warned;

  std::vector<std::string> warnings() {
    const std::lock_guard lock(mutex);
    return warned;
  }
  int taken_to(const std::string& place) {
    const std::lock_guard lock(mutex);
    return taken[place];
  }
  Script& script(const std::string& place) {
    const std::lock_guard lock(mutex);
    auto& script = scripts[place];
    if (!script) script = std::make_shared<Script>();
    return *script;
  }

  BackupMeans means() {
    return {[this](const std::filesystem::path& repository) {
              if (script(repository).broken) throw Error("{} cannot be written", repository.string());
              const std::lock_guard lock(mutex);
              ++taken[repository];
              CheckpointReport report;
              report.id = ++last_id;
              return report;
            },
            [this](const BackupPlan& plan) {
              script(plan.to);
              return std::make_unique<FakePlace>(plan.to, scripts[plan.to]);
            },
            [this](const std::vector<std::string>& arguments, const std::atomic<bool>&) {
              ++chores;
              if (arguments[0] == "verify") ++verified;
              return chores_say;
            },
            [this](const std::filesystem::path& repository) {
              if (script(repository).vanished) throw Error("{} is not there", repository.string());
            },
            [this](const std::string& what) {
              const std::lock_guard lock(mutex);
              warned.push_back(what);
            }};
  }
};

BackupPlan plan_to(const std::string& place, std::uint64_t every_ms) {
  BackupPlan plan;
  plan.to = place;
  plan.every_ms = every_ms;
  return plan;
}

TEST_CASE("what a plan lacks is said") {
  CHECK_THROWS_AS(check_plan({}), UsageError);
  CHECK_THROWS_AS(check_plan(plan_to("/repo", 0)), UsageError);
  CHECK_THROWS_AS(check_plan(plan_to("tcp://host:1", 100)), UsageError);
  BackupPlan keyed = plan_to("/repo", 100);
  keyed.key = "/key";
  CHECK_THROWS_AS(check_plan(keyed), UsageError);
  CHECK_NOTHROW(check_plan(plan_to("/repo", 100)));
}

TEST_CASE("pauses before a backup is tried again grow, up to five minutes") {
  CHECK(retry_pause(1) == std::chrono::seconds(1));
  CHECK(retry_pause(2) == std::chrono::seconds(2));
  CHECK(retry_pause(5) == std::chrono::seconds(16));
  CHECK(retry_pause(1'000'000) == std::chrono::minutes(5));
}

TEST_CASE("backups go on by themselves until they are stopped") {
  Rig rig;
  BackupService service(rig.means());
  service.start(plan_to("/a", 1));
  CHECK(becomes_true([&] { return rig.taken_to("/a") >= 5; }));
  REQUIRE(service.status().size() == 1);
  CHECK(becomes_true([&] { return service.status()[0].taken >= 5 && service.status()[0].latest >= 5; }));
  CHECK(service.stop("/b") == 0);
  CHECK(service.stop("/a") == 1);
  const int then = rig.taken_to("/a");
  std::this_thread::sleep_for(milliseconds(20));
  CHECK(rig.taken_to("/a") == then);
  CHECK(service.status().empty());
}

TEST_CASE("a second plan for a place takes the place of the first") {
  Rig rig;
  BackupService service(rig.means());
  BackupPlan first = plan_to("/a", 3'600'000);
  first.keep = parse_retention("last=5", "");
  first.verify_ms = 86'400'000;
  CHECK(service.start(first).empty());
  CHECK(service.start(plan_to("/a/", 7'200'000)) == "--keep last=5, --verify 24h");
  REQUIRE(service.status().size() == 1);
  CHECK(service.status()[0].every_ms == 7'200'000);
  CHECK(service.stop("/a//") == 1);
}

TEST_CASE("a place within another one is refused, whichever comes first") {
  Rig rig;
  BackupService service(rig.means());
  service.start(plan_to("/nowhere/a/b", 3'600'000));
  for (const std::string place : {"/nowhere/a", "/nowhere/a/b/c", "/nowhere/x/../a/b/c"})
    CHECK_THROWS_WITH_AS(service.start(plan_to(place, 1)), doctest::Contains("lie in one another"), Error);
  CHECK_NOTHROW(service.start(plan_to("/nowhere/a/bc", 3'600'000)));
  CHECK(service.status().size() == 2);
}

TEST_CASE("a place that can never be a repository is refused at once, and one that is not there yet is not") {
  Rig rig;
  BackupService service(rig.means());
  for (const std::string place : {"/dev/null", "/dev/null/a", "/proc/self/cmdline"})
    CHECK_THROWS_WITH_AS(service.start(plan_to(place, 1)), doctest::Contains("is not a directory; name a dir"), Error);
  CHECK(service.status().empty());
  CHECK_NOTHROW(service.start(plan_to("/nowhere/a", 3'600'000)));
}

TEST_CASE("where a second plan for a place cannot be, the first goes on") {
  Rig rig;
  BackupMeans means = rig.means();
  bool refuses = false;
  means.make_place = [&, make = means.make_place](const BackupPlan& plan) {
    if (refuses) throw Error("there is no key");
    return make(plan);
  };
  BackupService service(means);
  service.start(plan_to("/a", 1));
  refuses = true;
  CHECK_THROWS_AS(service.start(plan_to("/a", 2)), Error);
  REQUIRE(service.status().size() == 1);
  const int then = rig.taken_to("/a");
  CHECK(becomes_true([&] { return rig.taken_to("/a") > then + 2; }));
}

TEST_CASE("a place that vanishes is said to, and goes on when it is back") {
  Rig rig;
  BackupService service(rig.means());
  rig.script("/a").broken = true;
  service.start(plan_to("/a", 5));
  CHECK(becomes_true([&] { return service.status()[0].failures >= 1; }));
  const BackupStatus failing = service.status()[0];
  CHECK(failing.state == BackupState::kFailing);
  CHECK(failing.problem == "the place /a is gone");
  CHECK(failing.taken == 0);
  rig.script("/a").broken = false;
  CHECK(becomes_true([&] { return service.status()[0].taken >= 2; }));
  CHECK(service.status()[0].problem.empty());
  CHECK(service.status()[0].failures == 0);
}

TEST_CASE("an instant is captured once, for the place that wants the most, and carried to the others") {
  Rig rig;
  BackupService service(rig.means());
  service.start(plan_to("/often", 5));
  CHECK(becomes_true([&] { return rig.taken_to("/often") >= 1; }));
  service.start(plan_to("/seldom", 50));
  CHECK(becomes_true([&] { return rig.script("/seldom").brought >= 3; }));
  CHECK(rig.taken_to("/seldom") == 0);
}

TEST_CASE("where the place that leads fails, the others take their own") {
  Rig rig;
  BackupService service(rig.means());
  service.start(plan_to("/often", 5));
  CHECK(becomes_true([&] { return rig.taken_to("/often") >= 1; }));
  rig.script("/often").broken = true;
  service.start(plan_to("/seldom", 20));
  CHECK(becomes_true([&] { return rig.taken_to("/seldom") >= 2; }));
  CHECK(becomes_true([&] { return service.status()[0].failures > 0 && service.status()[1].failures == 0; }));
}

TEST_CASE("in a place whose device is gone nothing is made anew, though another place wants a checkpoint") {
  Rig rig;
  BackupService service(rig.means());
  service.start(plan_to("/often", 5));
  CHECK(becomes_true([&] { return rig.taken_to("/often") >= 1; }));
  rig.script("/often").vanished = true;
  CHECK(becomes_true([&] { return service.status()[0].failures > 0; }));
  const int then = rig.taken_to("/often");
  service.start(plan_to("/seldom", 20));
  CHECK(becomes_true([&] { return rig.taken_to("/seldom") >= 2; }));
  CHECK(rig.taken_to("/often") == then);
}

TEST_CASE("what is found to be bad, and a backup that begins to fail, is told: once each") {
  Rig rig;
  rig.chores_say = "checkpoint 3 is damaged";
  BackupService service(rig.means());
  BackupPlan plan = plan_to("/a", 1);
  plan.verify_ms = 3'600'000;
  service.start(plan);
  CHECK(becomes_true([&] { return !rig.warnings().empty(); }));
  CHECK(rig.warnings() == std::vector<std::string>{"verify /a: checkpoint 3 is damaged"});
  rig.script("/b").broken = true;  // from the beginning: else it may break in mid-backup, which is another reason
  service.start(plan_to("/b", 1));
  CHECK(becomes_true([&] { return service.status()[1].failures >= 2; }));
  CHECK(rig.warnings().size() == 2);
  CHECK(rig.warnings().back() == "backup /b: the place /b is gone");
}

TEST_CASE("what a drill finds is looked for in all that is there, though nobody asked for that") {
  Rig rig;
  rig.chores_say = "checkpoint 3 is damaged";
  BackupService service(rig.means());
  BackupPlan plan = plan_to("/a", 1);
  plan.drill_ms = 3'600'000;
  service.start(plan);
  CHECK(becomes_true([&] { return rig.verified == 1; }));
}

TEST_CASE("chores are done beside the backups") {
  Rig rig;
  BackupService service(rig.means());
  BackupPlan plan = plan_to("/a", 2);
  plan.verify_ms = plan.drill_ms = 5;
  service.start(plan);
  CHECK(becomes_true([&] { return rig.chores >= 4; }));
  CHECK(becomes_true([&] { return service.status()[0].verified.ends_with(": good"); }));
  CHECK(becomes_true([&] { return service.status()[0].drilled.ends_with(": good"); }));
}

TEST_CASE("the end waits for nothing but what is under way") {
  Rig rig;
  const auto start = std::chrono::steady_clock::now();
  {
    BackupService service(rig.means());
    service.start(plan_to("/a", 3'600'000));
    CHECK(becomes_true([&] { return service.status()[0].taken == 1; }));
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::minutes(1));
}

}  // namespace
}  // namespace tintype
