// SPDX-License-Identifier: Apache-2.0
#pragma once

// A small builder of AML, the byte code of ACPI's definition blocks: just what names, devices and their
// resources need. Each function returns the encoding of one term; terms nest as the calls do. ACPI 6.5,
// chapters 20 (encoding) and 6.4 (resources).

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace tintype::aml {

using Bytes = std::vector<std::uint8_t>;

// --- data ---
Bytes integer(std::uint64_t value);
Bytes string(std::string_view text);
/// The packed form of a Plug and Play id: three capitals, four hexadecimal digits ("PNP0501").
Bytes eisa_id(std::string_view id);
Bytes package(std::initializer_list<Bytes> elements);

// --- names: one segment of at most four characters, with a '\' before it for the root ---
Bytes name(std::string_view path, const Bytes& value);
Bytes scope(std::string_view path, const Bytes& terms);
Bytes device(std::string_view path, std::initializer_list<Bytes> terms);

// --- methods ---
Bytes method(std::string_view path, unsigned arguments, const Bytes& terms);
/// Tells the drivers of a device, which is found by its name from here upwards.
Bytes notify(std::string_view device, std::uint64_t value);

// --- resources: a template around descriptors ---
Bytes resource_template(std::initializer_list<Bytes> descriptors);
Bytes io_ports(std::uint16_t first, std::uint8_t count);
/// An ISA line, edge-triggered, active high, not shared.
Bytes isa_interrupt(unsigned line);
Bytes memory_window(std::uint32_t start, std::uint32_t size);
/// Any GSI, edge-triggered, active high, not shared.
Bytes interrupt(std::uint32_t gsi);

Bytes join(std::initializer_list<Bytes> parts);

}  // namespace tintype::aml
