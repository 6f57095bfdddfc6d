// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "devices/block/log_files.h"
#include "devices/block/redo_log.h"

namespace tintype {

// Whose log is it? People copy, move, link and replace images while logs wait. An image is known by its inode, by the
// mark that it carries, or by its time stamp; where none of them speaks, or two disagree, the answer is a sentence, not
// a guess.

/// False where the log is another image's, which shares a directory with ours. Throws tintype::Error where it may be
/// ours or not, and says what to do.
bool belongs(const LogPaths& paths, const log_format::Superblock& superblock, const log_format::State& state,
             const RawFile& base);

/// The image is as it was when the log was last written. Throws tintype::Error.
void check_fits(const RedoLog& log, const RawFile& base);

/// The log says that it is being committed, before the image is written: from now on that is our own doing. Its state
/// is to be made durable then. Throws std::system_error.
void note_commit(RedoLog& log, const RawFile& base);

}  // namespace tintype
