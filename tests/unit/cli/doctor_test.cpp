// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <fstream>

#include <doctest/doctest.h>

#include "checkpoint/capture/strategy.h"
#include "tests/unit/control/scratch_directory.h"
#include "vmm/cli/doctor_probes.h"

using namespace tintype;

namespace {

std::string file_with(const ScratchDirectory& scratch, const std::string& text) {
  const auto path = scratch.path() / "probe";
  std::ofstream(path) << text << "\n";
  return path.string();
}

}  // namespace

TEST_CASE("whatever is missing has a remedy") {
  for (const Finding& finding : examine_host().findings) {
    CAPTURE(finding.subject);
    CHECK_FALSE(finding.found.empty());
    if (finding.health != Health::kGood) CHECK_FALSE(finding.remedy.empty());
  }
}

TEST_CASE("a strategy that cannot run says why, and stop runs where a machine does") {
  const Diagnosis diagnosis = examine_host();
  CHECK(diagnosis.main_problem.empty() == diagnosis.machine_can_run);
  REQUIRE(diagnosis.strategies.size() == strategies().size());
  CHECK(diagnosis.strategies[0].name == "stop");
  CHECK(diagnosis.strategies[0].possible == diagnosis.machine_can_run);
  for (const StrategyFinding& strategy : diagnosis.strategies) CHECK(strategy.possible == strategy.reason.empty());
}

TEST_CASE("huge pages that are switched off or unknown are noticed") {
  const ScratchDirectory scratch;
  CHECK(examine_huge_pages(file_with(scratch, "always [madvise] never")).health == Health::kGood);
  CHECK(examine_huge_pages(file_with(scratch, "[always] madvise never")).health == Health::kGood);
  CHECK(examine_huge_pages(file_with(scratch, "always madvise [never]")).health == Health::kLimited);
  CHECK(examine_huge_pages(file_with(scratch, "] nonsense [")).health == Health::kLimited);
  CHECK(examine_huge_pages("/nowhere").health == Health::kLimited);
}

TEST_CASE("strict overcommit is noticed") {
  const ScratchDirectory scratch;
  CHECK(examine_overcommit(file_with(scratch, "2")).health == Health::kLimited);
  CHECK(examine_overcommit(file_with(scratch, "0")).health == Health::kGood);
}

TEST_CASE("io_uring that is switched off is noticed, and no obstacle: disks have threads instead") {
  const ScratchDirectory scratch;
  CHECK(examine_io_uring(file_with(scratch, "2")).health == Health::kLimited);
}

TEST_CASE("a KVM without VMX and SVM is limited: stock Linux does not boot there, and the remedy names the rig") {
  const ScratchDirectory scratch;
  const auto of_flags = [&](const char* flags) {
    return examine_virtualization(file_with(scratch, std::string("processor\t: 0\nflags\t\t: ") + flags));
  };
  CHECK(of_flags("fpu vmx sse").health == Health::kGood);
  CHECK(of_flags("fpu sse svm").health == Health::kGood);
  const Finding neither = of_flags("fpu vmxnet svm_lock");
  CHECK(neither.health == Health::kLimited);
  CHECK(neither.remedy.find("rig") != std::string::npos);
  CHECK(examine_virtualization("/nowhere").health == Health::kLimited);
}

TEST_CASE("where the guest's programs read the host's time stamp counter, that is said, and which clock goes on") {
  const ScratchDirectory scratch;
  const auto of_flags = [&](const char* flags) {
    return examine_time_stamp_counter(file_with(scratch, std::string("flags\t\t: ") + flags));
  };
  CHECK(of_flags("fpu vmx tsc").health == Health::kGood);
  const Finding jumps = of_flags("fpu tsc");
  CHECK(jumps.health == Health::kLimited);
  CHECK(jumps.found.find("jump") != std::string::npos);
  CHECK(jumps.remedy.find("kvm-clock") != std::string::npos);
  const auto findings = examine_host().findings;
  CHECK(std::ranges::count(findings, jumps.subject, &Finding::subject) == 1);
}

TEST_CASE("programs that single verbs need are looked for, and without them a machine runs all the same") {
  const auto findings = examine_host().findings;
  for (const char* subject : {"nbdkit", "mke2fs", "libcurl", "GnuTLS", "libmicrohttpd", "Capstone"}) {
    CAPTURE(subject);
    const auto finding = std::ranges::find(findings, subject, &Finding::subject);
    REQUIRE(finding != findings.end());
    CHECK(finding->health != Health::kMissing);
  }
}

TEST_CASE("a runtime directory that cannot be used is noticed") {
  const ScratchDirectory scratch;
  CHECK(examine_runtime_directory(scratch.path().string()).health == Health::kGood);
  CHECK(examine_runtime_directory((scratch.path() / "new").string()).health == Health::kGood);
  CHECK(examine_runtime_directory(file_with(scratch, "x")).health == Health::kMissing);
  CHECK(examine_runtime_directory((scratch.path() / "new" / "and" / "deep").string()).health == Health::kGood);
  CHECK(examine_runtime_directory(file_with(scratch, "x") + "/below/it").health == Health::kMissing);
}
