// SPDX-License-Identifier: Apache-2.0
#include "devices/i8042.h"

#include <algorithm>
#include <array>

namespace tintype {
namespace {

// Status register.
constexpr std::uint8_t kOutputFull = 1 << 0;
constexpr std::uint8_t kSystemFlag = 1 << 2;
constexpr std::uint8_t kLastWasCommand = 1 << 3;
constexpr std::uint8_t kNotInhibited = 1 << 4;
constexpr std::uint8_t kTimeout = 1 << 6;
constexpr std::uint8_t kStatusBits = kOutputFull | kSystemFlag | kLastWasCommand | kNotInhibited | kTimeout;

// Command byte (the controller's configuration).
constexpr std::uint8_t kKeyboardInterrupt = 1 << 0;
constexpr std::uint8_t kKeyboardDisabled = 1 << 4;
constexpr std::uint8_t kMouseDisabled = 1 << 5;
constexpr std::uint8_t kTranslate = 1 << 6;

// Output port.
constexpr std::uint8_t kNoReset = 1 << 0;  ///< wired to the processor's reset line, active low
constexpr std::uint8_t kGateA20 = 1 << 1;

// Commands.
constexpr std::uint8_t kReadCommandByte = 0x20;
constexpr std::uint8_t kWriteCommandByte = 0x60;
constexpr std::uint8_t kDisableMouse = 0xa7;
constexpr std::uint8_t kEnableMouse = 0xa8;
constexpr std::uint8_t kTestMousePort = 0xa9;
constexpr std::uint8_t kSelfTest = 0xaa;
constexpr std::uint8_t kTestKeyboardPort = 0xab;
constexpr std::uint8_t kDisableKeyboard = 0xad;
constexpr std::uint8_t kEnableKeyboard = 0xae;
constexpr std::uint8_t kReadInputPort = 0xc0;
constexpr std::uint8_t kReadOutputPort = 0xd0;
constexpr std::uint8_t kWriteOutputPort = 0xd1;
constexpr std::uint8_t kEchoAsKeyboard = 0xd2;
constexpr std::uint8_t kEchoAsMouse = 0xd3;
constexpr std::uint8_t kSendToMouse = 0xd4;
constexpr std::uint8_t kPulseOutputPort = 0xf0;  ///< 0xf0 to 0xff: pulls low the lines whose bits are 0; 0xfe is reset

constexpr std::array kCommandsWithParameter = {kWriteCommandByte, kWriteOutputPort, kEchoAsKeyboard, kEchoAsMouse,
                                               kSendToMouse};

// Answers.
constexpr std::uint8_t kSelfTestPassed = 0x55;
constexpr std::uint8_t kPortWorks = 0x00;
constexpr std::uint8_t kPortBroken = 0x01;  ///< clock line stuck low: nobody looks further for a mouse
constexpr std::uint8_t kResend = 0xfe;      ///< with the timeout bit: nobody answered on the wire

bool has_parameter(std::uint8_t command) noexcept { return std::ranges::count(kCommandsWithParameter, command) != 0; }

}  // namespace

I8042::I8042(IrqLine& keyboard_irq, std::function<void()> on_reset)
    : irq_(keyboard_irq),
      on_reset_(std::move(on_reset)),
      status_(kSystemFlag | kNotInhibited),
      command_byte_(kKeyboardInterrupt | kTranslate),
      output_port_(kNoReset | kGateA20) {}

void I8042::Port::bus_read(std::uint64_t, std::span<std::byte> data) noexcept {
  std::ranges::fill(data, std::byte{0xff});
  if (data.empty()) return;
  const std::lock_guard lock(owner_.mutex_);
  data.front() = std::byte{(owner_.*read_)()};
}

void I8042::Port::bus_write(std::uint64_t, std::span<const std::byte> data) noexcept {
  if (!data.empty()) (owner_.*write_)(std::to_integer<std::uint8_t>(data.front()));
}

std::uint8_t I8042::read_data() noexcept {
  status_ &= static_cast<std::uint8_t>(~(kOutputFull | kTimeout));
  update_irq();
  return output_;
}

std::uint8_t I8042::read_status() noexcept { return status_; }

void I8042::write_data(std::uint8_t value) noexcept {
  bool reset = false;
  {
    const std::lock_guard lock(mutex_);
    status_ &= static_cast<std::uint8_t>(~kLastWasCommand);
    if (pending_command_ != 0) {
      reset = take_parameter(value);
    } else {
      answer(kResend, kTimeout);  // for the keyboard, which is not there
    }
  }
  if (reset) on_reset_();
}

void I8042::write_command(std::uint8_t command) noexcept {
  bool reset = false;
  {
    const std::lock_guard lock(mutex_);
    status_ |= kLastWasCommand;
    pending_command_ = has_parameter(command) ? command : 0;
    reset = run_command(command);
  }
  if (reset) on_reset_();
}

/// True where the command pulls the reset line.
bool I8042::run_command(std::uint8_t command) noexcept {
  if (command >= kPulseOutputPort) return (command & kNoReset) == 0;
  switch (command) {
    case kReadCommandByte:
      answer(command_byte_);
      break;
    case kDisableMouse:
      command_byte_ |= kMouseDisabled;
      break;
    case kEnableMouse:
      command_byte_ &= static_cast<std::uint8_t>(~kMouseDisabled);
      break;
    case kTestMousePort:
      answer(kPortBroken);
      break;
    case kSelfTest:
      answer(kSelfTestPassed);
      break;
    case kTestKeyboardPort:
      answer(kPortWorks);
      break;
    case kDisableKeyboard:
      command_byte_ |= kKeyboardDisabled;
      break;
    case kEnableKeyboard:
      command_byte_ &= static_cast<std::uint8_t>(~kKeyboardDisabled);
      break;
    case kReadInputPort:
      answer(0);
      break;
    case kReadOutputPort:
      answer(output_port_);
      break;
    default:
      break;  // takes a parameter, or is not known: ignored, as the chip does
  }
  return false;
}

/// True where the parameter pulls the reset line.
bool I8042::take_parameter(std::uint8_t value) noexcept {
  switch (std::exchange(pending_command_, 0)) {
    case kWriteCommandByte:
      command_byte_ = value;
      update_irq();
      break;
    case kWriteOutputPort:
      output_port_ = value | kNoReset;  // the line comes back up with the reset
      return (value & kNoReset) == 0;
    case kEchoAsKeyboard:
      answer(value);
      break;
    case kEchoAsMouse:
      answer(value);
      break;  // not marked as the mouse's: a probe sees that there is none
    default:
      answer(kResend, kTimeout);
      break;  // kSendToMouse
  }
  return false;
}

void I8042::answer(std::uint8_t value, std::uint8_t extra_status) noexcept {
  output_ = value;
  status_ = static_cast<std::uint8_t>((status_ & ~kTimeout) | kOutputFull | extra_status);
  update_irq();
}

void I8042::update_irq() noexcept {
  irq_.set((status_ & kOutputFull) != 0 && (command_byte_ & kKeyboardInterrupt) != 0);
}

StateRecord I8042::save_state() const {
  const std::lock_guard lock(mutex_);
  return to_record(I8042StateV1{.status = status_,
                                .command_byte = command_byte_,
                                .output_port = output_port_,
                                .output = output_,
                                .pending_command = pending_command_});
}

void I8042::check_state(const StateRecord& record) const {
  const auto state = from_record<I8042StateV1>(record);
  if ((state.status & ~kStatusBits) != 0) {
    throw StateError("the saved state i8042 version 1 is damaged: status {:#x} has bits that do not exist",
                     state.status);
  }
  if (state.pending_command != 0 && !has_parameter(state.pending_command)) {
    throw StateError("the saved state i8042 version 1 is damaged: pending_command {:#x} takes no parameter",
                     state.pending_command);
  }
}

void I8042::restore_state(const StateRecord& record) {
  const auto state = from_record<I8042StateV1>(record);
  const std::lock_guard lock(mutex_);
  status_ = state.status;
  command_byte_ = state.command_byte;
  output_port_ = state.output_port;
  output_ = state.output;
  pending_command_ = state.pending_command;
  update_irq();
}

}  // namespace tintype
