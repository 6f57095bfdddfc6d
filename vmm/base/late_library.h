// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tintype {

/// A shared library that is loaded when something in it is first wanted, and stays: most runs of this program need
/// nothing of it, and to load it, with all that it builds on, would take longer than a machine does that is restored.
class LateLibrary {
 public:
  /// `name` as the linker would note it (DT_SONAME): "libcurl.so.4". Throws tintype::Error where there is none.
  explicit LateLibrary(const char* name);

  /// A function, or the address of a variable. Throws tintype::Error where the library has none of that name.
  template <typename Symbol>
  void find(const char* symbol, Symbol& into) const {
    into = reinterpret_cast<Symbol>(address_of(symbol));
  }

 private:
  void* address_of(const char* symbol) const;

  const char* name_;
  void* handle_;
};

}  // namespace tintype
