// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/session.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "vmm/gdb/packet.h"
#include "vmm/gdb/registers.h"

namespace tintype {
namespace {

constexpr std::string_view kBadArgument = "E16", kNoMemory = "E0e", kReadOnly = "E1e";  // EINVAL, EFAULT, EROFS

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

}  // namespace

GdbSession::GdbSession(const DebugSubject& subject) : subject_(subject) {}

std::optional<std::string> GdbSession::answer(std::string_view command) {
  if (command.empty()) return "";
  const std::string_view rest = command.substr(1);
  switch (command.front()) {
    case '?':
      return stop_reply();
    case 'g':
      return registers_hex(architecture_of(subject_.registers(0)), subject_.registers(cpu_));
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
      return std::nullopt;
    case 'v':
      return command == "vMustReplyEmpty" || command == "vCont?" ? ""
             : command.starts_with("vCont")                      ? std::string(kReadOnly)
                                                                 : "";
    // It is at rest: nothing can be changed, and nothing runs.
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
      return std::string(kReadOnly);
    default:
      return "";
  }
}

std::string GdbSession::query(std::string_view command) {
  if (command.starts_with("qSupported"))
    return fmt::format("PacketSize={:x};QStartNoAckMode+;qXfer:features:read+", kMaximumPacket);
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
  const std::string xml = target_description(architecture_of(subject_.registers(0)));
  if (range->first >= xml.size()) return "l";
  const std::uint64_t length = std::min<std::uint64_t>(range->second, kMaximumPacket / 2);
  const std::string part = xml.substr(range->first, length);
  return (range->first + part.size() < xml.size() ? "m" : "l") + part;
}

std::string GdbSession::monitor(std::string_view) const {
  return text_hex("This is a checkpoint at rest: registers and memory can be looked at, and nothing runs.\n");
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
  return register_hex(architecture_of(subject_.registers(0)), subject_.registers(cpu_), *which)
      .value_or(std::string(kBadArgument));
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

}  // namespace tintype
