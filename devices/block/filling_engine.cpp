// SPDX-License-Identifier: Apache-2.0
#include "devices/block/filling_engine.h"

#include <exception>

#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

std::uint64_t length_of(const HostIo& io) noexcept {
  std::uint64_t bytes = 0;
  for (const iovec& segment : io.segments) bytes += segment.iov_len;
  return bytes;
}

}  // namespace

FillingEngine::FillingEngine(std::unique_ptr<IoEngine> engine, int image, std::shared_ptr<AbsentBlocks> absent,
                             std::function<void()> make_lasting)
    : engine_(std::move(engine)),
      image_(image),
      absent_(std::move(absent)),
      make_lasting_(std::move(make_lasting)),
      thread_([this] { work(); }) {}

FillingEngine::~FillingEngine() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

bool FillingEngine::waits(const HostIo& io) const noexcept {
  if (io.kind == HostIo::Kind::kSync) return !lasts_;
  return io.kind == HostIo::Kind::kRead && io.fd == image_ && !absent_->is_there(io.offset, length_of(io));
}

void FillingEngine::queue(HostIo& io) noexcept {
  if (!waits(io)) return engine_->queue(io);
  const std::lock_guard lock(mutex_);
  waiting_.push_back(&io);
  changed_.notify_all();
}

HostIo* FillingEngine::reap() noexcept {
  if (HostIo* const io = engine_->reap()) return io;
  const std::lock_guard lock(mutex_);
  if (failed_.empty()) return nullptr;
  HostIo* const io = failed_.front();
  failed_.pop_front();
  return io;
}

HostIo* FillingEngine::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
  if (waiting_.empty()) return nullptr;
  HostIo* const io = waiting_.front();
  waiting_.pop_front();
  return io;
}

void FillingEngine::prepare(HostIo& io) {
  if (io.kind == HostIo::Kind::kRead) return absent_->bring(io.offset, length_of(io));
  make_lasting_();
  lasts_ = true;
}

// The disk's own thread submits the read when the bell rings: it may come to wait for guest memory.
void FillingEngine::work() noexcept {
  name_this_thread("disk-fill");
  block_signals_in_this_thread();
  while (HostIo* const io = next()) {
    try {
      prepare(*io);
      engine_->queue(*io);
    } catch (const std::exception& failure) {
      if (io->kind == HostIo::Kind::kSync) log_note("a restored disk cannot be made durable: {}", failure.what());
      io->is_absent = true;
      io->error_number = EIO;
      const std::lock_guard lock(mutex_);
      failed_.push_back(io);
    }
    engine_->ring_bell();
  }
}

}  // namespace tintype
