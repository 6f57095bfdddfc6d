// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/qemu.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <stdexcept>
#include <thread>

#include <fmt/format.h>

namespace tintype::test {

namespace {

using namespace std::chrono_literals;

UniqueFd connect_to(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  for (int tries = 0; tries < 500; ++tries) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
    std::this_thread::sleep_for(10ms);
  }
  throw std::runtime_error("QEMU does not open its control socket");
}

}  // namespace

Qemu::Qemu(const std::filesystem::path& directory, const std::string& image, const std::string& append,
           const std::string& memory)
    : socket_path_(directory / "qmp") {
  process_ = std::make_unique<MachineProcess>(
      "qemu-system-x86_64",
      Arguments{"-M", "microvm,x-option-roms=off,isa-serial=on,acpi=off", "-enable-kvm", "-m", memory, "-nodefaults",
                "-no-user-config", "-display", "none", "-serial", "stdio", "-device",
                "isa-debug-exit,iobase=0xf4,iosize=4", "-qmp", "unix:" + socket_path_.string() + ",server=on,wait=off",
                "-kernel", image, "-append", append});
  socket_ = connect_to(socket_path_);
  read_reply();  // the greeting
  command(R"({"execute":"qmp_capabilities"})");
}

Qemu::~Qemu() = default;

std::string Qemu::read_reply() {
  for (;;) {
    const auto end = unread_.find('\n');
    if (end != std::string::npos) {
      const std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      if (line.find("\"event\"") != std::string::npos) continue;
      return line;
    }
    char buffer[4096];
    const auto count = ::read(socket_.get(), buffer, sizeof buffer);
    if (count <= 0) throw std::runtime_error("QEMU closed its control socket");
    unread_.append(buffer, static_cast<std::size_t>(count));
  }
}

std::string Qemu::command(const std::string& json) {
  const std::string line = json + "\n";
  if (::write(socket_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    throw std::runtime_error("QEMU takes no command");
  const std::string reply = read_reply();
  if (reply.find("\"error\"") != std::string::npos) throw std::runtime_error("QEMU: " + reply);
  return reply;
}

void Qemu::background_snapshot(const std::filesystem::path& file) {
  command(R"({"execute":"migrate-set-capabilities","arguments":)"
          R"({"capabilities":[{"capability":"background-snapshot","state":true}]}})");
  command(R"({"execute":"migrate-set-parameters","arguments":{"max-bandwidth":100000000000}})");
  command(fmt::format(R"({{"execute":"migrate","arguments":{{"uri":"exec:cat > {}"}}}})", file.string()));
  for (int tries = 0; tries < 6000; ++tries) {
    const std::string status = command(R"({"execute":"query-migrate"})");
    if (status.find("\"completed\"") != std::string::npos) return;
    if (status.find("\"failed\"") != std::string::npos) throw std::runtime_error("QEMU's snapshot failed: " + status);
    std::this_thread::sleep_for(10ms);
  }
  throw std::runtime_error("QEMU's snapshot does not end");
}

}  // namespace tintype::test
