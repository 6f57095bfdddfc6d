// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/late_library.h"

#include <dlfcn.h>

#include "vmm/base/error.h"

namespace tintype {

LateLibrary::LateLibrary(const char* name) : name_(name), handle_(::dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) throw Error("{} cannot be loaded ({}): install the package that has it", name, ::dlerror());
}

void* LateLibrary::address_of(const char* symbol) const {
  void* const address = ::dlsym(handle_, symbol);
  if (address == nullptr)
    throw Error("{} has no {}: install the version that this program was built with", name_, symbol);
  return address;
}

}  // namespace tintype
