// SPDX-License-Identifier: Apache-2.0
#include "devices/backplane.h"

namespace tintype {

void Backplane::plug(Device& device, std::initializer_list<Window> windows) {
  for (const Window& window : windows) {
    Bus& bus = window.space == Space::kPorts ? ports_ : mmio_;
    bus.attach(window.start, window.length, window.answers, window.name);
  }
  devices_.push_back(&device);
}

void Backplane::plug_stateless(const Window& window) {
  Bus& bus = window.space == Space::kPorts ? ports_ : mmio_;
  bus.attach(window.start, window.length, window.answers, window.name);
}

void Backplane::freeze() noexcept {
  for (Device* device : devices_) device->freeze();
}

void Backplane::thaw() noexcept {
  for (Device* device : devices_) device->thaw();
}

}  // namespace tintype
