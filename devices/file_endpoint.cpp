// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "devices/host_output.h"
#include "devices/serial_endpoint.h"
#include "vmm/base/error.h"
#include "vmm/base/unique_fd.h"

namespace tintype {
namespace {

class FileEndpoint final : public SerialEndpoint {
 public:
  /// `is_new`: it was made for this machine.
  FileEndpoint(UniqueFd file, std::filesystem::path path, bool is_new)
      : path_(std::move(path)), goes_again_(is_new), file_(std::move(file)), output_(file_.get(), path_.string()) {}
  ~FileEndpoint() override {
    if (goes_again_) ::unlink(path_.c_str());
  }
  FileEndpoint(const FileEndpoint&) = delete;
  FileEndpoint& operator=(const FileEndpoint&) = delete;

  void start() noexcept override { goes_again_ = false; }
  int output_fd() const noexcept override { return output_.fd(); }
  std::size_t write(std::span<const std::uint8_t> bytes) noexcept override { return output_.write(bytes); }

 private:
  const std::filesystem::path path_;
  bool goes_again_;
  UniqueFd file_;
  HostOutput output_;
};

}  // namespace

// O_NONBLOCK is for a named pipe: without a reader, opening it fails instead of waiting for one.
std::unique_ptr<SerialEndpoint> make_file_endpoint(const std::filesystem::path& path, FileStart start) {
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  UniqueFd file(::open(path.c_str(), flags | O_EXCL, 0644));
  const bool is_new = static_cast<bool>(file);
  if (!file) file.reset(::open(path.c_str(), flags | (start == FileStart::kTruncate ? O_TRUNC : 0), 0644));
  if (!file && errno == ENXIO) {
    throw Error("cannot write serial output to {}: nobody reads that pipe; start its reader first", path.string());
  }
  if (!file) {
    const int error = errno;
    throw Error("cannot write serial output to {}: {}; give --serial file: a path that you can write to", path.string(),
                errno_text(error));
  }
  return std::make_unique<FileEndpoint>(std::move(file), path, is_new);
}

}  // namespace tintype
