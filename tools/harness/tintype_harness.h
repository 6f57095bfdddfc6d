/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop without a socket in it: a guest asks to be marked and to be reset, a program on the host says what it is to
 * find each time. tools/harness/README.md has the whole of it; this is what the three of them agree on.
 *
 * Plain C, for guests, host programs and the machine itself. All numbers are little-endian, as on the wire of the CPU.
 */
#ifndef TINTYPE_HARNESS_H
#define TINTYPE_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the guest and its machine ---------------------------------------------------------------------------------- */

/* A 32-bit write of a request's guest physical address to this port. */
#define TINTYPE_HARNESS_PORT 0x7e0

enum { TINTYPE_COMMAND_MARK = 1, TINTYPE_COMMAND_RESET = 2 };
#define TINTYPE_REQUEST_MAGIC 0x54504d54u /* "TMPT" */

/*
 * In guest memory, below 4 GiB, 8-byte aligned. The guest fills it in, writes its address to the port and waits until
 * `done` is not zero. It is made so after the mark was set, and again after each reset: so a mark returns many times,
 * each time with another input, and a reset never does.
 */
struct tintype_request {
  uint32_t magic;
  uint32_t command;
  uint64_t result;   /* of TINTYPE_COMMAND_RESET: what the guest has to say of the input */
  uint64_t buffer;   /* of TINTYPE_COMMAND_MARK: guest physical address where inputs go */
  uint64_t capacity; /* bytes there */
  uint64_t length;   /* bytes of this input: written by the machine */
  uint32_t done;     /* written by the machine */
  uint32_t reserved;
};

/* ---- the machine and a program on the host ---------------------------------------------------------------------- */

#define TINTYPE_AREA_MAGIC 0x31414854u /* "THA1" */
#define TINTYPE_INPUT_BYTES (1u << 20)
/* Results that no guest gives: it had not asked for a reset in time; the machine has ended. */
#define TINTYPE_RESULT_TIMEOUT UINT64_MAX
#define TINTYPE_RESULT_ENDED (UINT64_MAX - 1)

enum { TINTYPE_TURN_MACHINE = 0, TINTYPE_TURN_PROGRAM = 1 };

/* What both map: a memfd that is sealed against shrinking. `turn` says whose it is, and is a futex. */
struct tintype_area {
  uint32_t magic;
  uint32_t turn;
  uint32_t timeout_ms; /* for the guest to ask for its reset; 0: for ever */
  uint32_t reserved;
  uint64_t result; /* of the last input */
  uint64_t resets; /* so far */
  uint64_t pages;  /* that the last one put back */
  uint64_t reset_ns;
  uint64_t length; /* of the next input */
  uint8_t input[TINTYPE_INPUT_BYTES];
};

/* ---- for the program (libtintype_harness.a) --------------------------------------------------------------------- */

struct tintype_harness;

/* Makes the area and tells the machine of it, by running `tintype harness NAME --area FILE`; NULL, with errno, where
 * either fails. `program`: the tintype to run, or NULL for that in PATH. */
struct tintype_harness* tintype_harness_open(const char* program, const char* machine);
/* Waits until the guest stands at its mark. Returns the area, whose result is that of the input before. */
const struct tintype_area* tintype_harness_wait(struct tintype_harness* harness);
/* Gives it the next input, and lets it run. -1 where it is too long. */
int tintype_harness_give(struct tintype_harness* harness, const void* input, size_t length);
void tintype_harness_set_timeout(struct tintype_harness* harness, unsigned milliseconds);
void tintype_harness_close(struct tintype_harness* harness);

#ifdef __cplusplus
}
#endif

#endif
