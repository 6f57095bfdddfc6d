// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/inspect.h"

#include <charconv>

#include "vmm/base/error.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

using nlohmann::json;

namespace {

/// "0xffffffff81000000", or decimal.
std::uint64_t parse_address(std::string_view text, std::string_view option) {
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hexadecimal ? text.substr(2) : text;
  std::uint64_t address = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address, hexadecimal ? 16 : 10);
  if (error == std::errc() && end == digits.data() + digits.size() && !digits.empty()) return address;
  throw UsageError("{} cannot be \"{}\": give an address, as in 0xffffffff81000000", option, text);
}

void parse_place(const std::string& text, InspectRequest& request) {
  const auto comma = text.find(',');
  if (comma == std::string::npos) throw UsageError("--memory cannot be \"{}\": give ADDRESS,LENGTH", text);
  request.memory = parse_address(text.substr(0, comma), "--memory");
  request.memory_bytes = parse_size(text.substr(comma + 1), "--memory");
}

}  // namespace

void InspectOptions::declare(VerbOptions& options, const std::string& whose) {
  options.flag("--registers", registers_, ("What each CPU was doing, " + whose).c_str());
  options.text("--memory", "ADDR,LEN", memory_, ("Memory, up to 1M, " + whose).c_str());
  options.text("--disassemble", "ADDR", disassemble_, ("The instructions there, " + whose).c_str());
  options.text("--page-tables", "ADDR", page_tables_,
               ("The way from a linear to a physical address, " + whose).c_str());
  options.flag("--virtqueues", virtqueues_, ("The queues of its devices, and the requests in them, " + whose).c_str());
  options.number("--cpu", cpu_, "By whose page tables addresses are meant, by default CPU 0's");
  options.flag("--physical", physical_, "Addresses of --memory and --disassemble are guest physical");
}

InspectRequest InspectOptions::request() const {
  if (physical_ && !any()) throw UsageError("--physical goes with --memory or --disassemble: say what is to be shown");
  if (cpu_ && !any())
    throw UsageError("--cpu goes with --memory, --disassemble or --page-tables: say what is to be shown");
  InspectRequest request;
  request.registers = registers_;
  request.virtqueues = virtqueues_;
  request.is_physical = physical_;
  request.cpu = cpu_.value_or(0);
  if (memory_) parse_place(*memory_, request);
  if (disassemble_) request.disassemble = parse_address(*disassemble_, "--disassemble");
  if (page_tables_) request.page_tables = parse_address(*page_tables_, "--page-tables");
  check_inspection(request);
  return request;
}

json InspectOptions::parameters() const {
  const InspectRequest wish = request();
  json object = {{"registers", wish.registers},
                 {"virtqueues", wish.virtqueues},
                 {"physical", wish.is_physical},
                 {"cpu", wish.cpu}};
  if (wish.memory) object.update({{"memory", *wish.memory}, {"memory_bytes", wish.memory_bytes}});
  if (wish.disassemble) object["disassemble"] = *wish.disassemble;
  if (wish.page_tables) object["page_tables"] = *wish.page_tables;
  return object;
}

}  // namespace tintype
