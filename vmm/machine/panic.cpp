// SPDX-License-Identifier: Apache-2.0
// A guest's kernel that panics, and what its policy wants done then.
#include "vmm/machine/lifecycle.h"

namespace tintype {

// On the vCPU's thread, in the middle of the kernel's last words. What takes time is an errand; until that is done the
// vCPUs go no further, or the kernel might reset the machine first.
void Lifecycle::on_panic(Pvpanic::Event event) noexcept {
  if (event == Pvpanic::Event::kCrashLoaded) return announce(EventKind::kPanic, "its crash kernel takes over");
  if (panicked_.exchange(true)) return;
  announce(EventKind::kPanic);
  try {
    switch (config().on_failure.on_panic) {
      case PanicAction::kExit:
        return end(panic_end({}));
      case PanicAction::kPause:
        guest_.processors().ask_to_park();
        return errands_.post([this] { pause_because(std::string(kPanicReason)); });
      case PanicAction::kCheckpoint:
        guest_.processors().ask_to_park();
        return errands_.post([this] { photograph_panic(); });
    }
  } catch (const std::exception& error) {
    end({1, std::string(kPanicReason), error.what()});
  }
}

void Lifecycle::photograph_panic() {
  try {
    pause_because(std::string(kPanicReason));
    CheckpointOptions options;
    options.repository = config().on_failure.panic_repository.string();
    const CheckpointReport report = checkpoint(options, {});
    end(panic_end(fmt::format("it is in checkpoint {} of {}", report.id, options.repository)));
  } catch (const std::exception& error) {
    end(panic_end(fmt::format("and could not be photographed: {}", error.what())));
  }
}

MachineEnd Lifecycle::panic_end(const std::string& note) const {
  constexpr std::size_t kLastWords = 4096;
  std::string text = fmt::format("the guest's kernel panicked{}{}\n", note.empty() ? "" : "; ", note);
  std::string last_words = guest_.platform().console().log().tail(kLastWords);
  std::erase(last_words, '\r');
  if (!last_words.empty()) text += "the last lines of its console:\n" + last_words;
  return {1, std::string(kPanicReason), text};
}

}  // namespace tintype
