// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the two computers say to each other, a line each, inside of a secure channel:
//
//   first     HELLO 2 WITNESS NAME
//                               the machine whose checkpoints come; the witness that it asks, or -
//   standby   HAVE IDENTITY     the newest that it has, or -
//   first     BEAT              it lives            standby   BEAT             so does it
//   first     STREAM            a stream follows    standby   KEPT IDENTITY    it is whole, and durable
//                                                   standby   ERROR TEXT       it was not taken in
//   first     BYE               the machine has ended, or is not backed up any more: that is no loss
//                               standby             REPLACED                   to anything: it runs the machine from
//                                                   now on; the first hangs up when its own one stands still

#include <string_view>

namespace tintype::link_words {

inline constexpr std::string_view kAnyHello = "HELLO ", kHello = "HELLO 2 ", kHave = "HAVE ", kBeat = "BEAT",
                                  kStream = "STREAM", kKept = "KEPT ", kError = "ERROR ", kBye = "BYE",
                                  kReplaced = "REPLACED", kNoWitness = "-";

}  // namespace tintype::link_words
