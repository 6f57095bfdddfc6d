// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/describe.h"

#include <cstring>

#include "vmm/base/error.h"

namespace tintype {

namespace {

DiskMode mode_from(const std::string& text) {
  if (const auto mode = value_of<DiskMode>(text)) return *mode;
  throw Error("the checkpoint has a disk of mode {}, which this program does not know: use a newer one", text);
}

DiskBehaviourDescription described(const DiskBehaviour& behaviour) {
  return {std::string(name_of(behaviour.cache)), std::string(name_of(behaviour.on_error)), behaviour.block_size,
          behaviour.iops, behaviour.bytes_per_second};
}

// How the host caches is no part of what the guest saw: an unknown word is no reason to refuse.
DiskBehaviour behaviour_from(const DiskBehaviourDescription& description) {
  return {value_of<DiskCache>(description.cache).value_or(DiskCache::kWriteback),
          value_of<OnDiskError>(description.on_error).value_or(OnDiskError::kReport), description.block_size,
          description.iops, description.bytes_per_second};
}

const kvm_cpuid_entry2* leaf_of(const std::vector<kvm_cpuid_entry2>& leaves, std::uint32_t function) {
  for (const kvm_cpuid_entry2& leaf : leaves) {
    if (leaf.function == function && leaf.index == 0) return &leaf;
  }
  return nullptr;
}

std::string text_of(std::initializer_list<std::uint32_t> words) {
  std::string text;
  for (const std::uint32_t word : words) {
    char letters[sizeof word];
    std::memcpy(letters, &word, sizeof word);
    text.append(letters, sizeof letters);
  }
  return text.substr(0, text.find('\0'));
}

}  // namespace

// CPUID leaf 0: vendor; 0x80000002 to 4: the model's name.
CpuDescription describe_cpu(const KvmVcpu& vcpu) {
  const auto leaves = vcpu.cpuid();
  CpuDescription cpu;
  if (const auto* leaf = leaf_of(leaves, 0)) cpu.vendor = text_of({leaf->ebx, leaf->edx, leaf->ecx});
  for (std::uint32_t function = 0x80000002; function <= 0x80000004; ++function) {
    if (const auto* leaf = leaf_of(leaves, function))
      cpu.model += text_of({leaf->eax, leaf->ebx, leaf->ecx, leaf->edx});
  }
  return cpu;
}

MachineDescription describe_machine(const MachineConfig& config, const GuestMemory& memory,
                                    std::span<const std::unique_ptr<DiskSlot>> disks, const CpuDescription& cpu) {
  MachineDescription description;
  description.memory = config.memory;
  description.cpus = config.cpus;
  description.kernel = config.kernel;
  description.initrd = config.initrd;
  description.append = config.append;
  for (const MemoryRegion& region : memory.regions())
    description.regions.push_back({region.start.value(), region.size, region.first_page});
  for (const auto& disk : disks) {
    const DiskOptions& options = disk->disk()->options();
    description.disks.push_back({options.id, options.image, disk->size(), std::string(name_of(options.mode)),
                                 options.read_only, options.serial, described(options.behaviour)});
  }
  description.cpu = cpu;
  return description;
}

MachineConfig config_from(const MachineDescription& description) {
  MachineConfig config;
  config.kernel = description.kernel;
  config.initrd = description.initrd;
  config.append = description.append;
  config.memory = description.memory;
  config.cpus = description.cpus;
  for (const DiskDescription& disk : description.disks) {
    config.disks.push_back(
        {{}, mode_from(disk.mode), disk.read_only, disk.serial, disk.size, behaviour_from(disk.behaviour)});
  }
  return config;
}

}  // namespace tintype
