// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <cerrno>

#include "devices/host_output.h"
#include "devices/serial_endpoint.h"
#include "vmm/base/error.h"
#include "vmm/base/unique_fd.h"

namespace tintype {
namespace {

class FileEndpoint final : public SerialEndpoint {
 public:
  FileEndpoint(UniqueFd file, const std::string& name) : file_(std::move(file)), output_(file_.get(), name) {}

  int output_fd() const noexcept override { return output_.fd(); }
  std::size_t write(std::span<const std::uint8_t> bytes) noexcept override { return output_.write(bytes); }

 private:
  UniqueFd file_;
  HostOutput output_;
};

}  // namespace

// O_NONBLOCK is for a named pipe: without a reader, opening it fails instead of waiting for one.
std::unique_ptr<SerialEndpoint> make_file_endpoint(const std::filesystem::path& path, FileStart start) {
  const int truncate = start == FileStart::kTruncate ? O_TRUNC : 0;
  UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | truncate, 0644));
  if (!file && errno == ENXIO) {
    throw Error("cannot write serial output to {}: nobody reads that pipe; start its reader first", path.string());
  }
  if (!file) {
    const int error = errno;
    throw Error("cannot write serial output to {}: {}; give --serial file: a path that you can write to", path.string(),
                errno_text(error));
  }
  return std::make_unique<FileEndpoint>(std::move(file), path.string());
}

}  // namespace tintype
