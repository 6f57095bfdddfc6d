// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/doctor_probes.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#include <algorithm>

#include "checkpoint/capture/strategy.h"
#include "checkpoint/tracking/userfault.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/cli/doctor_programs.h"
#include "vmm/cli/values.h"
#include "vmm/control/runtime_directory.h"
#include "vmm/kvm/capabilities.h"

namespace tintype {

namespace {

std::string first_line_or_empty(const std::string& path) {
  try {
    const std::string text = read_text_file(path);
    return text.substr(0, text.find('\n'));
  } catch (const std::exception&) {
    return {};
  }
}

Finding good(const std::string& subject, const std::string& found) { return {subject, found, {}, Health::kGood}; }

void examine_capabilities(const KvmSystem& kvm, Diagnosis& diagnosis) {
  for (const KvmCapability& capability : kvm_capabilities()) {
    const std::string subject = fmt::format("KVM_CAP_{}", capability.name);
    const int value = kvm.extension(capability.number);
    if (value != 0) {
      diagnosis.findings.push_back(good(subject, fmt::format("{} ({})", value, capability.used_for)));
      continue;
    }
    const std::string found = fmt::format("missing ({})", capability.used_for);
    diagnosis.findings.push_back({subject, found,
                                  capability.required ? "use a newer kernel" : "use a newer kernel, or do without",
                                  capability.required ? Health::kMissing : Health::kLimited});
  }
}

/// True where a virtual machine could be made.
bool examine_kvm(Diagnosis& diagnosis) {
  try {
    const KvmSystem kvm;
    diagnosis.findings.push_back(good("/dev/kvm", "opens, API version 12"));
    examine_capabilities(kvm, diagnosis);
    const UniqueFd machine = kvm.create_vm();
    const bool complete = missing_capabilities(kvm).empty();
    if (!complete) diagnosis.main_problem = "this computer's KVM lacks what a machine needs: use a newer kernel";
    return complete;
  } catch (const std::exception& failure) {
    diagnosis.findings.push_back(
        {"/dev/kvm", failure.what(), "load kvm-intel or kvm-amd, and be in the group kvm", Health::kMissing});
    diagnosis.main_problem = fmt::format("no machine can run here: {}", failure.what());
    return false;
  }
}

Finding examine_userfault(const UserfaultSupport& support) {
  if (!support.problem.empty()) {
    const char* const lacks = support.missing_pages
                                  ? "no write protection of guest memory: no cow, no hybrid"
                                  : "no write protection of guest memory: no cow, no hybrid, no lazy restore";
    return {"userfaultfd", lacks, support.problem, Health::kLimited};
  }
  if (!support.unpopulated) {
    return {"userfaultfd", "write protection, without WP_UNPOPULATED",
            "none needed: pages that were never touched are looked up instead (Linux 6.4 has it)", Health::kGood};
  }
  return good("userfaultfd", "write protection, with WP_UNPOPULATED");
}

Finding examine_tracking(const TrackingSupport& support) {
  switch (support.tracking) {
    case Tracking::kProtection:
      return good("dirty pages", "by write protection");
    case Tracking::kScan:
      return good("dirty pages", "noted by the kernel, which needs no privilege");
    case Tracking::kNothing:
      break;
  }
  return {"dirty pages", "not known: every checkpoint is a full one", support.cannot_know, Health::kLimited};
}

Finding examine_memory() {
  struct sysinfo info {};
  ::sysinfo(&info);
  return good("memory", fmt::format("{} in all, {} free", format_size(std::uint64_t{info.totalram} * info.mem_unit),
                                    format_size(std::uint64_t{info.freeram} * info.mem_unit)));
}

std::vector<StrategyFinding> examine_strategies(bool machine_can_run, const TrackingSupport& support) {
  std::vector<StrategyFinding> findings;
  for (const StrategyRow& row : strategies()) {
    const std::string problem = machine_can_run ? obstacle(row.need, support) : "no machine can run here";
    findings.push_back({std::string(name_of(row.strategy)), problem.empty(), problem});
  }
  return findings;
}

}  // namespace

Finding examine_virtualization(const std::string& cpu_info_path) {
  if (has_hardware_virtualization(cpu_info_path)) return good("virtualization", "by the CPU");
  return {
      "virtualization", "neither VMX nor SVM: KVM emulates the guest's kernel code",
      "a stock Linux does not boot here: boot it in the rig (tools/rig COMMAND), or on a computer with VMX or SVM; the "
      "test kernels run",
      Health::kLimited};
}

Finding examine_time_stamp_counter(const std::string& cpu_info_path) {
  const char* const subject = "time stamp counter";
  if (has_hardware_virtualization(cpu_info_path))
    return good(subject, "a restored guest's goes on from its checkpoint");
  return {
      subject, "programs of a restored guest see it jump: without VMX or SVM they read the host's",
      "have the guest take its time from KVM's clock (clocksource=kvm-clock on its command line), which goes on; or "
      "restore on a computer with VMX or SVM",
      Health::kLimited};
}

Finding examine_huge_pages(const std::string& enabled_path) {
  const std::string text = first_line_or_empty(enabled_path);
  const auto start = text.find('[');
  const auto end = text.find(']');
  const std::string chosen = start < end && end != std::string::npos ? text.substr(start + 1, end - start - 1) : "";
  if (chosen == "madvise" || chosen == "always") return good("huge pages", chosen);
  const std::string remedy = fmt::format(
      "echo madvise > {} (as root): without huge pages the pause of a checkpoint is ten times as long", enabled_path);
  return {"huge pages", chosen.empty() ? "not in this kernel" : chosen, remedy, Health::kLimited};
}

Finding examine_overcommit(const std::string& overcommit_path) {
  const std::string mode = first_line_or_empty(overcommit_path);
  if (mode != "2") return good("overcommit", mode == "1" ? "always" : "heuristic");
  return {"overcommit", "never", "sysctl vm.overcommit_memory=0: otherwise guest memory counts in full, touched or not",
          Health::kLimited};
}

Finding examine_io_uring(const std::string& disabled_path) {
  const std::string disabled = first_line_or_empty(disabled_path);
  // A call with no entries is refused as invalid where io_uring is there, and as unknown or forbidden where it is not.
  char parameters[120] = {};  // struct io_uring_params
  const long result = ::syscall(SYS_io_uring_setup, 0, parameters);
  if (result >= 0) ::close(static_cast<int>(result));
  const int failure = result >= 0 ? 0 : errno;
  if (failure != ENOSYS && failure != EPERM && disabled != "2") return good("io_uring", "works");
  const std::string remedy =
      failure == ENOSYS ? "use a kernel with CONFIG_IO_URING=y" : "sysctl kernel.io_uring_disabled=0";
  return {"io_uring", "cannot be used: threads do the disks' I/O, which is slower", remedy, Health::kLimited};
}

Finding examine_page_scan() {
  // Linux 6.7, include/uapi/linux/fs.h: struct pm_scan_arg, 96 bytes, of which the first word is its size.
  std::uint64_t scan[12] = {sizeof scan};
  const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!pagemap) return {"page map", "cannot be opened", "mount /proc, or choose --strategy stop", Health::kLimited};
  const bool known = ::ioctl(pagemap.get(), _IOWR('f', 16, std::uint64_t[12]), scan) >= 0 || errno != ENOTTY;
  if (known) return good("page map", "PAGEMAP_SCAN");
  return {"page map", "by reading", "none needed: Linux 6.7 does it faster, which shortens the pause of large machines",
          Health::kGood};
}

Finding examine_runtime_directory(const std::string& directory) {
  std::filesystem::path probed = directory;
  std::error_code missing;
  while (!std::filesystem::exists(probed, missing) && probed.has_relative_path()) probed = probed.parent_path();
  const char* remedy = "set TINTYPE_RUNTIME_DIR to a directory of yours";
  if (!std::filesystem::is_directory(probed, missing))
    return {"runtime directory", probed.string() + " is not a directory", remedy, Health::kMissing};
  if (::access(probed.c_str(), W_OK | X_OK) == 0)
    return good("runtime directory", directory + (probed == directory ? "" : " (will be created)"));
  return {"runtime directory", probed.string() + " cannot be written", remedy, Health::kMissing};
}

Diagnosis examine_host() {
  Diagnosis diagnosis;
  diagnosis.machine_can_run = examine_kvm(diagnosis);
  const TrackingSupport tracking = probe_tracking();
  for (const Finding& finding : {examine_virtualization("/proc/cpuinfo"), examine_time_stamp_counter("/proc/cpuinfo"),
                                 examine_userfault(probe_userfault()), examine_tracking(tracking), examine_page_scan(),
                                 examine_huge_pages("/sys/kernel/mm/transparent_hugepage/enabled"),
                                 examine_io_uring("/proc/sys/kernel/io_uring_disabled"), examine_memory(),
                                 examine_overcommit("/proc/sys/vm/overcommit_memory"),
                                 examine_runtime_directory(runtime_directory().string())}) {
    diagnosis.findings.push_back(finding);
    if (finding.health != Health::kMissing || !diagnosis.machine_can_run) continue;
    diagnosis.machine_can_run = false;
    diagnosis.main_problem = fmt::format("no machine can run here: {}: {}", finding.subject, finding.remedy);
  }
  for (const Finding& finding : examine_programs()) diagnosis.findings.push_back(finding);
  diagnosis.strategies = examine_strategies(diagnosis.machine_can_run, tracking);
  return diagnosis;
}

}  // namespace tintype
