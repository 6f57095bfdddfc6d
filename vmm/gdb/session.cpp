// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/session.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "vmm/base/error.h"
#include "vmm/gdb/packet.h"
#include "vmm/gdb/registers.h"

namespace tintype {
namespace {

constexpr std::string_view kBadArgument = "E16", kNoMemory = "E0e";  // EINVAL, EFAULT

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

struct Pair {
  std::uint64_t first = 0, second = 0;
};

/// "ADDRESS,LENGTH"
std::optional<Pair> parse_pair(std::string_view text) {
  const auto comma = text.find(',');
  if (comma == text.npos) return std::nullopt;
  const auto first = parse_hex(text.substr(0, comma)), second = parse_hex(text.substr(comma + 1));
  if (!first || !second) return std::nullopt;
  return Pair{*first, *second};
}

std::string text_hex(std::string_view text) {
  return to_hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

/// gdb prints what stands behind "E."; that of Debian 12, what stands behind the next full stop.
std::string refusal(std::string_view why) { return fmt::format("E.refused. {}", why); }

}  // namespace

GdbSession::GdbSession(DebugSubject& subject) : subject_(subject), architecture_(subject.architecture()) {}

std::optional<std::string> GdbSession::answer(std::string_view command) {
  if (command.empty()) return "";
  const std::string_view rest = command.substr(1);
  switch (command.front()) {
    case '?':
      return stop_reply();
    case 'g':
      return registers_hex(architecture_, subject_.registers(cpu_));
    case 'p':
      return read_register(rest);
    case 'm':
      return read_memory(rest);
    case 'H':
      return select(rest);
    case 'T':
      return thread_info(rest).empty() ? std::string(kBadArgument) : "OK";
    case 'q':
    case 'Q':
      return query(command);
    case 'D':
      over_ = true;
      return "OK";
    case 'k':
      over_ = true;
      subject_.kill();
      return std::nullopt;
    case 'v':
      if (command == "vCont?") return subject_.is_live() ? "vCont;c;C;s;S" : "";
      if (!command.starts_with("vCont;")) return "";
      [[fallthrough]];
    case 'c':
    case 's':
    case 'C':
    case 'S':
    case 'G':
    case 'P':
    case 'M':
    case 'X':
    case 'Z':
    case 'z':
      return subject_.is_live() ? change(command)
                                : refusal("this is a checkpoint at rest: nothing is changed, or runs");
    default:
      return "";
  }
}

std::string GdbSession::query(std::string_view command) {
  if (command.starts_with("qSupported"))
    return fmt::format("PacketSize={:x};QStartNoAckMode+;qXfer:features:read+{}", kMaximumPacket,
                       subject_.is_live() ? ";swbreak+;hwbreak+;vContSupported+" : "");
  if (command == "QStartNoAckMode") {
    no_ack_ = true;
    return "OK";
  }
  if (command.starts_with("qXfer:features:read:")) return transfer(command.substr(20));
  if (command == "qC") return fmt::format("QC{:x}", cpu_ + 1);
  if (command == "qAttached") return "1";
  if (command == "qfThreadInfo") {
    std::string list = "m";
    for (std::size_t cpu = 0; cpu < subject_.cpus(); ++cpu) list += fmt::format("{}{:x}", cpu == 0 ? "" : ",", cpu + 1);
    return list;
  }
  if (command == "qsThreadInfo") return "l";
  if (command.starts_with("qThreadExtraInfo,")) return text_hex(thread_info(command.substr(17)));
  if (command.starts_with("qRcmd,")) return monitor(command.substr(6));
  return "";
}

/// "target.xml:OFFSET,LENGTH"
std::string GdbSession::transfer(std::string_view command) const {
  const auto colon = command.find(':');
  const auto range = colon == command.npos ? std::nullopt : parse_pair(command.substr(colon + 1));
  if (!range || command.substr(0, colon) != "target.xml") return std::string(kBadArgument);
  const std::string xml = target_description(architecture_);
  if (range->first >= xml.size()) return "l";
  const std::uint64_t length = std::min<std::uint64_t>(range->second, kMaximumPacket / 2);
  const std::string part = xml.substr(range->first, length);
  return (range->first + part.size() < xml.size() ? "m" : "l") + part;
}

std::string GdbSession::monitor(std::string_view hex) {
  const auto bytes = from_hex(hex);
  if (!bytes) return std::string(kBadArgument);
  // An answer must fit into a packet.
  return text_hex(subject_.monitor({bytes->begin(), bytes->end()}).substr(0, kMaximumPacket / 2 - 8));
}

std::string GdbSession::read_memory(std::string_view arguments) const {
  const auto range = parse_pair(arguments);
  if (!range) return std::string(kBadArgument);
  const auto bytes = subject_.read(cpu_, range->first, std::min<std::uint64_t>(range->second, kMaximumPacket / 2 - 8));
  return bytes.empty() && range->second != 0 ? std::string(kNoMemory) : to_hex(bytes);
}

std::string GdbSession::read_register(std::string_view number) const {
  const auto which = parse_hex(number);
  if (!which) return std::string(kBadArgument);
  return register_hex(architecture_, subject_.registers(cpu_), *which).value_or(std::string(kBadArgument));
}

/// "g2": what follows is meant for thread 2; 0 and -1 are any.
std::string GdbSession::select(std::string_view arguments) {
  if (arguments.empty()) return std::string(kBadArgument);
  const std::string_view thread = arguments.substr(1);
  if (thread == "-1" || thread == "0") return "OK";
  const auto which = parse_hex(thread);
  if (!which || *which == 0 || *which > subject_.cpus()) return std::string(kBadArgument);
  cpu_ = *which - 1;
  return "OK";
}

/// SIGTRAP, with the thread it is of.
std::string GdbSession::stop_reply() const { return fmt::format("T05thread:{:x};", cpu_ + 1); }

/// Empty where there is no such thread.
std::string GdbSession::thread_info(std::string_view thread) const {
  const auto which = parse_hex(thread);
  return which && *which != 0 && *which <= subject_.cpus() ? subject_.describe(*which - 1) : "";
}

// ---- a machine that runs ----

std::optional<std::string> GdbSession::change(std::string_view command) {
  const std::string_view rest = command.substr(1);
  switch (command.front()) {
    case 'G':
      return write_registers(rest);
    case 'P':
      return write_register(rest);
    case 'M':
      return write_memory(rest, false);
    case 'X':
      return write_memory(rest, true);
    case 'Z':
      return change_break(rest, true);
    case 'z':
      return change_break(rest, false);
    default:
      return resume(command);
  }
}

std::string GdbSession::write_registers(std::string_view hex) {
  VcpuRegisters registers = subject_.registers(cpu_);
  const bool good = set_registers(architecture_, registers, hex) && subject_.set_registers(cpu_, registers);
  return good ? "OK" : std::string(kBadArgument);
}

/// "NUMBER=VALUE"
std::string GdbSession::write_register(std::string_view arguments) {
  const auto equals = arguments.find('=');
  const auto number = parse_hex(arguments.substr(0, equals));
  VcpuRegisters registers = subject_.registers(cpu_);
  const bool good = number && equals != arguments.npos &&
                    set_register(architecture_, registers, *number, arguments.substr(equals + 1)) &&
                    subject_.set_registers(cpu_, registers);
  return good ? "OK" : std::string(kBadArgument);
}

/// "ADDRESS,LENGTH:BYTES", in hexadecimal or as they are.
std::string GdbSession::write_memory(std::string_view arguments, bool binary) {
  const auto colon = arguments.find(':');
  const auto range = colon == arguments.npos ? std::nullopt : parse_pair(arguments.substr(0, colon));
  if (!range) return std::string(kBadArgument);
  const std::string_view data = arguments.substr(colon + 1);
  const auto bytes = binary ? std::optional(std::vector<std::uint8_t>(data.begin(), data.end())) : from_hex(data);
  if (!bytes || bytes->size() != range->second) return std::string(kBadArgument);
  return subject_.write(cpu_, range->first, *bytes) ? "OK" : std::string(kNoMemory);
}

/// "TYPE,ADDRESS,KIND"
std::string GdbSession::change_break(std::string_view arguments, bool add) {
  constexpr std::string_view kTypes = "0124";  // 3 would be reads alone
  constexpr BreakKind kKinds[] = {BreakKind::kSoftware, BreakKind::kHardware, BreakKind::kWrite, BreakKind::kAccess};
  const auto type = arguments.size() > 2 && arguments[1] == ',' ? kTypes.find(arguments[0]) : kTypes.npos;
  if (type == kTypes.npos) return "";
  const auto place = parse_pair(arguments.substr(2, arguments.find(';') - 2));
  if (!place) return std::string(kBadArgument);
  if (add) return add_break(kKinds[type], place->first, place->second);
  subject_.remove_break(kKinds[type], place->first, place->second);
  return "OK";
}

std::string GdbSession::add_break(BreakKind kind, std::uint64_t address, std::uint64_t length) {
  try {
    return subject_.add_break(cpu_, kind, address, length) ? "OK" : std::string(kNoMemory);
  } catch (const Error& error) {
    return refusal(error.what());
  }
}

/// "c", "s", "CSIGNAL" and "SSIGNAL" with or without an address, of the thread that is selected; "vCont;ACTIONS".
std::optional<std::string> GdbSession::resume(std::string_view command) {
  if (command.starts_with("vCont;")) return resume_threads(command.substr(6));
  const bool with_signal = command.front() == 'C' || command.front() == 'S';
  const auto address_at = with_signal ? command.find(';') : std::size_t{0};
  if (address_at != command.npos && command.size() > address_at + 1) {
    const auto address = parse_hex(command.substr(address_at + 1));
    if (!address) return std::string(kBadArgument);
    VcpuRegisters registers = subject_.registers(cpu_);
    registers.general.rip = *address;
    if (!subject_.set_registers(cpu_, registers)) return std::string(kBadArgument);
  }
  std::vector<CpuAction> actions(subject_.cpus(), CpuAction::kRun);
  if (command.front() == 's' || command.front() == 'S') {
    actions.assign(subject_.cpus(), CpuAction::kStay);
    actions[cpu_] = CpuAction::kStep;
  }
  return run(actions);
}

/// "s:1;c": for each thread the first that is for it; a thread that none is for stays.
std::optional<std::string> GdbSession::resume_threads(std::string_view text) {
  std::vector<std::optional<CpuAction>> chosen(subject_.cpus());
  while (!text.empty()) {
    const auto end = std::min(text.find(';'), text.size());
    const std::string_view action = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto colon = action.find(':');
    const std::string_view thread = colon == action.npos ? "-1" : action.substr(colon + 1);
    const auto number = parse_hex(thread);
    const bool all = thread == "-1";
    const bool known = !action.empty() && std::string_view("cCsS").find(action.front()) != std::string_view::npos;
    if (!known || (!all && (!number || *number == 0 || *number > chosen.size()))) return std::string(kBadArgument);
    const bool steps = action.front() == 's' || action.front() == 'S';
    for (std::size_t cpu = all ? 0 : *number - 1; cpu < (all ? chosen.size() : *number); ++cpu)
      if (!chosen[cpu]) chosen[cpu] = steps ? CpuAction::kStep : CpuAction::kRun;
  }
  std::vector<CpuAction> actions;
  for (const auto& each : chosen) actions.push_back(each.value_or(CpuAction::kStay));
  return run(actions);
}

std::optional<std::string> GdbSession::run(const std::vector<CpuAction>& actions) {
  runs_ = true;
  subject_.run(actions);
  return std::nullopt;
}

void GdbSession::interrupt() {
  if (runs_) subject_.interrupt();
}

std::optional<std::string> GdbSession::stopped(const DebugStop& stop) {
  if (!std::exchange(runs_, false)) return std::nullopt;
  using Why = DebugStop::Why;
  if (stop.why == Why::kEnded) {
    over_ = true;
    return fmt::format("W{:02x}", static_cast<unsigned>(stop.exit_code) & 0xff);
  }
  if (stop.why != Why::kAsked) cpu_ = stop.cpu;
  const std::string why = stop.why == Why::kSoftware        ? "swbreak:;"
                          : stop.why == Why::kHardware      ? "hwbreak:;"
                          : stop.why != Why::kWatch         ? ""
                          : stop.watch == BreakKind::kWrite ? fmt::format("watch:{:x};", stop.address)
                                                            : fmt::format("awatch:{:x};", stop.address);
  return fmt::format("T{:02x}{}thread:{:x};", stop.why == Why::kAsked ? 2 : 5, why, cpu_ + 1);
}

}  // namespace tintype
