// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/values.h"

#include <doctest/doctest.h>

#include "vmm/base/error.h"

using namespace tintype;

TEST_CASE("times are whole numbers with a unit") {
  CHECK(parse_time("100ms", "--x") == 100);
  CHECK(parse_time("2s", "--x") == 2000);
  CHECK(parse_time("5m", "--x") == 300'000);
  CHECK(parse_time("1h", "--x") == 3'600'000);
  for (const char* wrong : {"", "5", "ms", "1.5s", "-1s", "1 s", "1d", "99999999999999999999s", "9999999999999999999h"})
    CHECK_THROWS_AS(parse_time(wrong, "--x"), UsageError);
}

TEST_CASE("sizes are bytes, or units of 1024") {
  CHECK(parse_size("0", "--x") == 0);
  CHECK(parse_size("4096", "--x") == 4096);
  CHECK(parse_size("64K", "--x") == 64 << 10);
  CHECK(parse_size("512M", "--x") == 512 << 20);
  CHECK(parse_size("1g", "--x") == 1 << 30);
  CHECK(parse_size("2T", "--x") == 2ULL << 40);
}

TEST_CASE("a size that is none, or does not fit 64 bits, is refused with the option's name") {
  for (const char* bad : {"", "M", "12Q", "1.5G", "-1", "+1", " 1", "1 M", "1MM", "0x10", "G1", "18446744073709551616",
                          "16777216T", "1\xff"}) {
    CAPTURE(bad);
    CHECK_THROWS_WITH_AS(parse_size(bad, "--memory"), doctest::Contains("--memory"), UsageError);
  }
}

TEST_CASE("numbers are whole and nothing else") {
  CHECK(parse_number("42", "--id") == 42);
  for (const char* bad : {"", "x", "4x", "-4", "4.0", "99999999999999999999"})
    CHECK_THROWS_AS(parse_number(bad, "--id"), UsageError);
}

TEST_CASE("sizes for people") {
  CHECK(format_size(0) == "0 B");
  CHECK(format_size(1023) == "1023 B");
  CHECK(format_size(512 << 20) == "512 MiB");
  CHECK(format_size(1536ULL << 20) == "1.5 GiB");
  CHECK(format_size(~0ULL).find("TiB") != std::string::npos);
}

TEST_CASE("a senseless amount of memory or CPUs is refused") {
  CHECK(checked_memory_size(1 << 20) == 1 << 20);
  for (const std::uint64_t bad : {0ULL, 1ULL, 1ULL << 19, (1ULL << 30) + 1, (1ULL << 40) + 4096, ~0ULL})
    CHECK_THROWS_AS(checked_memory_size(bad), UsageError);
  CHECK(checked_cpu_count(64) == 64);
  for (const std::uint64_t bad : {0ULL, 65ULL, 1ULL << 32, (1ULL << 32) + 1})
    CHECK_THROWS_AS(checked_cpu_count(bad), UsageError);
}

TEST_CASE("a disk is a file and what follows it") {
  const DiskConfig plain = parse_disk("/a/b.raw");
  CHECK(plain.image == "/a/b.raw");
  CHECK(plain.mode == DiskMode::kPersistent);
  CHECK_FALSE(plain.read_only);
  CHECK(plain.serial.empty());
  const DiskConfig full = parse_disk("x,mode=persistent,readonly,serial=S-1");
  CHECK(full.image == "x");
  CHECK(full.mode == DiskMode::kPersistent);
  CHECK(full.read_only);
  CHECK(full.serial == "S-1");
  CHECK(parse_disk("a,,b,,,readonly").image == "a,b,");
  const DiskBehaviour behaviour = parse_disk("x,cache=none,on-error=pause,block-size=4096,iops=100,bps=2M").behaviour;
  CHECK(behaviour == DiskBehaviour{DiskCache::kNone, OnDiskError::kPause, 4096, 100, 2 << 20});
  CHECK(plain.behaviour == DiskBehaviour{});
  CHECK(parse_disk("a,,b,,,readonly").read_only);
}

TEST_CASE("what a disk does not know is refused") {
  for (const char* bad : {"", ",readonly", "x,", "x,ro", "x,mode", "x,mode=", "x,mode=quick", "x,readonly=1",
                          "x,serial=", "x,serial=a b", "x,serial=123456789012345678901", "x,serial=\xc3\xa9"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_disk(bad), UsageError);
  }
}

TEST_CASE("a serial line goes to one of four places") {
  CHECK(parse_serial("stdio").kind == SerialKind::kStdio);
  CHECK(parse_serial("null").kind == SerialKind::kNull);
  CHECK(parse_serial("file:a:b").path == "a:b");
  CHECK(parse_serial("unix:/x").kind == SerialKind::kUnix);
  for (const char* bad : {"", "file:", "unix:", "file", "tcp:1", "STDIO"})
    CHECK_THROWS_AS(parse_serial(bad), UsageError);
}

TEST_CASE("traces can be joined by commas or given again") {
  const auto bits = [](std::initializer_list<TraceKind> kinds) {
    TraceConfig all;
    for (const TraceKind kind : kinds) all.add(kind);
    return all.kinds;
  };
  const TraceConfig trace = parse_trace({"exits,mmio", "pio"});
  CHECK(trace.kinds == bits({TraceKind::kExits, TraceKind::kMmio, TraceKind::kPio}));
  CHECK(trace.shows_exits());
  CHECK_FALSE(trace.json);
  CHECK(parse_trace({"json,virtio", "interrupts"}).json);
  CHECK(parse_trace({"faults"}).kinds == bits({TraceKind::kFaults}));
  CHECK_FALSE(parse_trace({"faults,virtio,interrupts"}).shows_exits());
  CHECK(parse_trace({}).kinds == 0);
  for (const char* bad : {"", "exits,", "all", "json"}) CHECK_THROWS_AS(parse_trace({bad}), UsageError);
}
