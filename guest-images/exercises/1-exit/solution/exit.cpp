// SPDX-License-Identifier: Apache-2.0
// Exercise 1: a virtual machine in one file. README.md beside it says what to do.
#include <fcntl.h>

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr unsigned long kStart = 0x1000;  // where the guest's code lies, and its only page of memory
constexpr unsigned kPort = 0xe9;

// 16-bit code: writes the text behind it to kPort, byte by byte, and halts.
constexpr unsigned char kGuest[] = {
    0xbe, 0x0d, 0x10,  // 1000  mov si, 0x100d
    0xac,              // 1003  lodsb
    0x84, 0xc0,        // 1004  test al, al
    0x74, 0x04,        // 1006  jz 0x100c
    0xe6, 0xe9,        // 1008  out 0xe9, al
    0xeb, 0xf7,        // 100a  jmp 0x1003
    0xf4,              // 100c  hlt
};
constexpr char kText[] = "a guest of thirteen bytes\n";

int must(int result, const char* what) {
  if (result >= 0) return result;
  std::perror(what);
  std::exit(2);
}

// Runs the guest until it halts. What it writes to kPort goes to stdout. Returns how often it came back to us.
// Anything else that it does is printed, and ends this program with 1.
unsigned run_guest(int vcpu, kvm_run& run) {
  for (unsigned exits = 1;; ++exits) {
    must(::ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
    if (run.exit_reason == KVM_EXIT_HLT) return exits;
    if (run.exit_reason != KVM_EXIT_IO || run.io.direction != KVM_EXIT_IO_OUT || run.io.port != kPort) {
      std::printf("the guest came back for reason %u, which nobody expected\n", run.exit_reason);
      std::exit(1);
    }
    std::fwrite(reinterpret_cast<const char*>(&run) + run.io.data_offset, run.io.size, run.io.count, stdout);
  }
}

}  // namespace

int main() {
  const int kvm = must(::open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
  const int vm = must(::ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");

  void* const memory = ::mmap(nullptr, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::memcpy(memory, kGuest, sizeof kGuest);
  std::memcpy(static_cast<char*>(memory) + sizeof kGuest, kText, sizeof kText);
  kvm_userspace_memory_region region{};
  region.guest_phys_addr = kStart;
  region.memory_size = 0x1000;
  region.userspace_addr = reinterpret_cast<unsigned long>(memory);
  must(::ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");

  const int vcpu = must(::ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
  const int bytes = must(::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
  void* const shared = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

  kvm_sregs segments{};
  must(::ioctl(vcpu, KVM_GET_SREGS, &segments), "KVM_GET_SREGS");
  segments.cs.base = 0;
  segments.cs.selector = 0;
  must(::ioctl(vcpu, KVM_SET_SREGS, &segments), "KVM_SET_SREGS");
  kvm_regs registers{};
  registers.rip = kStart;
  registers.rflags = 2;
  must(::ioctl(vcpu, KVM_SET_REGS, &registers), "KVM_SET_REGS");

  const unsigned exits = run_guest(vcpu, *static_cast<kvm_run*>(shared));
  std::printf("%u exits\n", exits);
}
