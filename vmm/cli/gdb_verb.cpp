// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/cli/output.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"
#include "vmm/gdb/listener.h"
#include "vmm/machine/cpu_text.h"
#include "vmm/machine/inspector.h"

namespace tintype {

namespace {

/// The machine in a checkpoint.
class MachineAtRest final : public DebugSubject {
 public:
  explicit MachineAtRest(const CheckpointReader& checkpoint) : inspector_(checkpoint), memory_(inspector_.memory()) {
    static_cast<void>(inspector_.registers(0));
  }
  std::size_t cpus() const override { return inspector_.cpus(); }
  const VcpuRegisters& registers(std::size_t cpu) const override { return inspector_.registers(cpu); }
  std::vector<std::uint8_t> read(std::size_t cpu, std::uint64_t address, std::size_t bytes) const override {
    try {
      return read_linear(memory_, registers(cpu).system, address, bytes);
    } catch (const ImageError&) {  // damaged: there is nothing to show
      return {};
    }
  }
  std::string describe(std::size_t cpu) const override {
    const VcpuRegisters& r = registers(cpu);
    return fmt::format("CPU {}, ring {}, at {:#x}", cpu, static_cast<unsigned>(r.system.ss.dpl),
                       linear_rip(r.general, r.system));
  }

 private:
  Inspector inspector_;
  ReadPhysical memory_;
};

class GdbVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.number("--id", id_, "Which checkpoint, by default the newest");
    options.text("--listen", "ADDR", listen_, "A port of this computer (0: any), or unix:PATH; by default 0");
    options.footer("Ends when gdb has detached. In gdb: target remote ADDR");
  }

  int run(Output& output) override {
    const CheckpointReader checkpoint(repository_, id_);
    MachineAtRest machine(checkpoint);
    const GdbListener server(listen_.value_or("0"), "--listen");
    output.line("checkpoint {}: in gdb, target remote {}", checkpoint.manifest().id, server.address());
    output.result(
        {{"repository", path_to_json(repository_)}, {"id", checkpoint.manifest().id}, {"listening", server.address()}});
    std::fflush(stdout);
    serve_at_rest(server, machine);
    return 0;
  }

 private:
  std::filesystem::path repository_;
  std::optional<std::uint64_t> id_;
  std::optional<std::string> listen_;
};

}  // namespace

std::unique_ptr<Verb> make_gdb_verb() { return std::make_unique<GdbVerb>(); }

}  // namespace tintype
