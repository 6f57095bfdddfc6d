// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

// The 16550A's registers and their bits (datasheet: National PC16550D). For the files of the UART only.
namespace tintype::uart16550 {

enum Register : std::uint8_t {
  kData = 0,             ///< receive and transmit; divisor low where the divisor latch is open
  kInterruptEnable = 1,  ///< divisor high where the latch is open
  kInterruptIdentity = 2,
  kFifoControl = 2,
  kLineControl = 3,
  kModemControl = 4,
  kLineStatus = 5,
  kModemStatus = 6,
  kScratch = 7,
};

// Interrupt enable.
inline constexpr std::uint8_t kEnableReceive = 1 << 0;
inline constexpr std::uint8_t kEnableTransmit = 1 << 1;
inline constexpr std::uint8_t kEnableLineStatus = 1 << 2;
inline constexpr std::uint8_t kEnableModemStatus = 1 << 3;
inline constexpr std::uint8_t kEnableBits = 0x0f;

// Interrupt identity, in order of priority.
inline constexpr std::uint8_t kCauseLineStatus = 0x06;
inline constexpr std::uint8_t kCauseReceived = 0x04;
inline constexpr std::uint8_t kCauseTimeout = 0x0c;
inline constexpr std::uint8_t kCauseTransmit = 0x02;
inline constexpr std::uint8_t kCauseModemStatus = 0x00;
inline constexpr std::uint8_t kCauseNone = 0x01;
inline constexpr std::uint8_t kIdentityFifos = 0xc0;  ///< the mark of a 16550A with its FIFOs on

// FIFO control.
inline constexpr std::uint8_t kFifoEnable = 1 << 0;
inline constexpr std::uint8_t kClearReceiver = 1 << 1;
inline constexpr std::uint8_t kTriggerBits = 0xc0;
inline constexpr std::array<std::uint8_t, 4> kTriggerLevels = {1, 4, 8, 14};

inline constexpr std::uint8_t kDivisorLatch = 1 << 7;  ///< line control

// Modem control.
inline constexpr std::uint8_t kDtr = 1 << 0;
inline constexpr std::uint8_t kRts = 1 << 1;
inline constexpr std::uint8_t kOut1 = 1 << 2;
inline constexpr std::uint8_t kOut2 = 1 << 3;
inline constexpr std::uint8_t kLoopback = 1 << 4;
inline constexpr std::uint8_t kModemControlBits = 0x1f;

// Line status.
inline constexpr std::uint8_t kDataReady = 1 << 0;
inline constexpr std::uint8_t kOverrun = 1 << 1;
inline constexpr std::uint8_t kTransmitEmpty = 0x60;  ///< holding register and shift register, which are one here

// Modem status: lines in the high half, which of them changed in the low half.
inline constexpr std::uint8_t kCts = 1 << 4;
inline constexpr std::uint8_t kDsr = 1 << 5;
inline constexpr std::uint8_t kRing = 1 << 6;
inline constexpr std::uint8_t kCarrier = 1 << 7;
inline constexpr std::uint8_t kSomebodyThere = kCts | kDsr | kCarrier;
inline constexpr std::uint8_t kChangeBits = 0x0f;
inline constexpr std::uint8_t kRingEnded = 1 << 2;

inline constexpr std::uint16_t kDivisorOf9600 = 12;

}  // namespace tintype::uart16550
