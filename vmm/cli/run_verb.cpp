// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/error.h"
#include "vmm/cli/directory_disk.h"
#include "vmm/cli/launch.h"
#include "vmm/cli/output.h"
#include "vmm/cli/run_options.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

namespace {

std::unique_ptr<Machine> boot(MachineConfig config) {
  const DirectoryDisks disks(config);
  return boot_machine(config);
}

class RunVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.text("--kernel", "FILE", given_.kernel,
                 "Kernel: bzImage, vmlinux, PVH or multiboot ELF, or a flat boot sector");
    options.text("--initrd", "FILE", given_.initrd, "Initial RAM disk, or the module of a multiboot kernel");
    options.text("--append", "TEXT", given_.append,
                 "Command line of the kernel (--append=TEXT where it begins with '-')");
    options.size("--memory", given_.memory, "Guest memory, by default 256M");
    options.number("--cpus", given_.cpus, "Number of CPUs, 1 to 64, by default 1");
    options.text("--name", "NAME", given_.name, "Name by which other verbs know the machine, by default vm-PID");
    options.list("--disk", "FILE[,...]", disks_,
                 "Raw disk image, or dir:PATH (an ext4 file system of what is in it, which goes with the machine); "
                 "then: readonly, serial=TEXT, mode= one of " +
                     offered_words<DiskMode>() +
                     " (updates reach the image, wait in a log for you to decide, or go with the machine), cache= one "
                     "of " +
                     offered_words<DiskCache>() + " (unsafe: not even a flush is waited for), on-error= one of " +
                     offered_words<OnDiskError>() + ", block-size=512 or 4096, iops=N and bps=SIZE as limits");
    options.text("--disk-dir", "DIR", given_.disk_directory,
                 "Where run-time files of disks lie, by default beside each image");
    options.text("--serial", "WHERE", given_.serial, "COM1: stdio, null, file:PATH or unix:PATH");
    options.words(kSerialWords);
    options.text("--config", "FILE", config_, "Take options from a TOML file; those given here win");
    options.flag("--detach", given_.detach, "Return when the machine runs, and leave it running");
    options.flag("--fail-on-reset", given_.fail_on_reset,
                 "Exit with 1 where the guest resets itself, as a kernel with panic=1 does after a panic");
    options.text("--on-panic", "WHAT", given_.on_panic,
                 "Where the guest's kernel panics: exit (with 1, the default), pause, or checkpoint=REPO and exit");
    options.words(kPanicWords);
    options.text("--gdb", "ADDR[,wait]", given_.gdb,
                 "Let gdb come: a port of this computer (0: any), or unix:PATH; with ,wait nothing runs before it has");
    options.list("--trace", "WHAT", given_.trace, trace_help());
    options.words(offered_words<TraceKind>());
    options.footer(
        "Exits with 0 where the guest powers off, resets itself or is stopped, and with 1 where it crashes or its\n"
        "kernel panics.\n"
        "A guest that writes VALUE to the debug-exit port (0xf4) makes it exit with VALUE<<1|1, as under QEMU:\n"
        "0 becomes 1, 1 becomes 3. `--json` tells an exit from a crash by its reason.");
  }

  int run(Output& output) override {
    for (const std::string& disk : disks_) given_.disks.push_back(parse_disk(disk));
    if (config_) given_.fill_from(read_config_file(absolute_path(*config_, "--config")));
    const MachineConfig config = machine_config(given_, output.json());
    check_files(config);
    return launch({config.name, given_.detach, [&config](const Cancellation&) { return boot(config); }, given_.backups,
                   given_.gdb ? parse_gdb(*given_.gdb) : GdbOption{}},
                  output);
  }

 private:
  RunOptions given_;
  std::vector<std::string> disks_;
  std::optional<std::string> config_;
};

}  // namespace

std::unique_ptr<Verb> make_run_verb() { return std::make_unique<RunVerb>(); }

}  // namespace tintype
