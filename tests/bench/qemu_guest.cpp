// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/qemu_guest.h"

#include <fcntl.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "tests/bench/place.h"
#include "tests/bench/statistics.h"
#include "vmm/base/io.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;

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

Arguments qemu_arguments(const std::string& image, const std::string& options, const std::string& memory) {
  return {"-M",
          "microvm,x-option-roms=off,isa-serial=on,acpi=off",
          "-enable-kvm",
          "-m",
          memory,
          "-nodefaults",
          "-no-user-config",
          "-display",
          "none",
          "-serial",
          "stdio",
          "-device",
          "isa-debug-exit,iobase=0xf4,iosize=4",
          "-kernel",
          guest_image(image),
          "-append",
          options};
}

QemuGuest::QemuGuest(const Workload& workload, bool live) : live_(live) {
  const std::filesystem::path socket = directory_ / "qmp";
  Arguments arguments = qemu_arguments(workload.image, workload.options, workload.memory);
  arguments.insert(arguments.end(),
                   {"-qmp", "unix:" + socket.string() + ",server=on,wait=off", "-smp", std::to_string(workload.cpus)});
  process_ = std::make_unique<MachineProcess>("qemu-system-x86_64", arguments);
  socket_ = connect_to(socket);
  read_reply();  // the greeting
  set_up();
  wait_for_work(*this);
}

QemuGuest::~QemuGuest() = default;

void QemuGuest::set_up() {
  command("qmp_capabilities");
  command("migrate-set-parameters", {{"max-bandwidth", 100000000000}});
  if (!live_) return;
  const json capability = {{"capability", "background-snapshot"}, {"state", true}};
  command("migrate-set-capabilities", {{"capabilities", json::array({capability})}});
}

json QemuGuest::read_reply() {
  for (;;) {
    const auto end = unread_.find('\n');
    if (end != std::string::npos) {
      const json reply = json::parse(unread_.substr(0, end));
      unread_.erase(0, end + 1);
      if (reply.contains("event")) continue;
      return reply;
    }
    char buffer[4096];
    const auto count = ::read(socket_.get(), buffer, sizeof buffer);
    if (count <= 0) throw std::runtime_error("QEMU closed its control socket");
    unread_.append(buffer, static_cast<std::size_t>(count));
  }
}

json QemuGuest::command(const std::string& name, const json& arguments) {
  const std::string line = json{{"execute", name}, {"arguments", arguments}}.dump() + "\n";
  if (::write(socket_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    throw std::runtime_error("QEMU takes no command");
  const json reply = read_reply();
  if (reply.contains("error")) throw std::runtime_error("QEMU: " + reply.dump());
  return reply.value("return", json::object());
}

json QemuGuest::migrate_to(const std::filesystem::path& file) {
  command("migrate", {{"uri", fmt::format("exec:cat > '{}'", file.string())}});
  for (int tries = 0; tries < 60000; ++tries) {
    const json answer = command("query-migrate");
    const std::string status = answer.value("status", "");
    if (status == "completed") return answer;
    if (status == "failed") throw std::runtime_error("QEMU's snapshot failed: " + answer.dump());
    std::this_thread::sleep_for(5ms);
  }
  throw std::runtime_error("QEMU's snapshot does not end");
}

CaptureReport QemuGuest::capture(const std::filesystem::path& destination) {
  const auto start = std::chrono::steady_clock::now();
  if (!live_) command("stop");
  const json answer = migrate_to(destination);
  CaptureReport report;
  if (!live_) {
    command("cont");
    report.pause_us = milliseconds_since(start) * 1000;
  }
  report.copy_ms = milliseconds_since(start);
  sync_file(open_file(destination, O_RDONLY).get(), destination.string());
  report.durable_ms = milliseconds_since(start);
  report.bytes = static_cast<double>(bytes_in(destination));
  return report;
}

}  // namespace tintype::test
