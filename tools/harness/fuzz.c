/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small fuzzer for guest-images/target: what takes a branch that none took before is kept, and changed again. It says
 * how many resets a second it gets, and each bug once.
 *
 *   tintype-fuzz TINTYPE MACHINE SECONDS [--all]      --all: until time is over, though all bugs were found
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/harness/tintype_harness.h"

enum { kMostInputs = 256, kMostBytes = 64, kBugs = 3, kHang = 3, kTimeoutMs = 100 };

struct input {
  size_t length;
  unsigned char bytes[kMostBytes];
};

/* What it begins with: one well-formed input of each kind. */
static struct input corpus[kMostInputs] = {{7, "TT\x01N\x02" "ab"}, {7, "TT\x01" "D\x02" "xy"}, {6, "TT\x01L\x01\x02"}};
static size_t corpus_size = 3;
static unsigned long long seen; /* branches, a bit each */

static unsigned below(unsigned limit) { return (unsigned)random() % limit; }

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* After the header of three bytes come records, which can follow each other in any order. */
static void splice(struct input *input, const struct input *other) {
  for (size_t i = 3; i < other->length && input->length < kMostBytes; ++i)
    input->bytes[input->length++] = other->bytes[i];
}

/* There, or at the end. */
static void put(struct input *input, size_t at, unsigned char byte) {
  if (at < input->length && below(2) != 0)
    input->bytes[at] = byte;
  else if (input->length < kMostBytes)
    input->bytes[input->length++] = byte;
}

static void change(struct input *input) {
  static const unsigned char letters[] = "NDLTZ";
  for (unsigned changes = 1 + below(3); changes > 0; --changes) {
    const size_t at = input->length == 0 ? 0 : below((unsigned)input->length);
    switch (below(7)) {
      case 0:
        if (input->length > 0) input->bytes[at] = (unsigned char)below(256);
        break;
      case 1:
        put(input, at, (unsigned char)below(16));
        break;
      case 2:
        put(input, at, letters[below(sizeof letters - 1)]);
        break;
      case 3:
        splice(input, &corpus[below((unsigned)corpus_size)]);
        break;
      case 4: /* a length that fits */
        if (input->length > 0) input->bytes[at] = (unsigned char)(input->length - at - 1);
        break;
      case 5:
        for (unsigned more = below(16); more > 0 && input->length < kMostBytes; --more)
          input->bytes[input->length++] = (unsigned char)below(256);
        break;
      default:
        if (input->length > 0) input->bytes[at] = (unsigned char)(input->bytes[at] + (below(2) ? 1 : -1));
    }
  }
}

/* A branch that none before it took. */
static int is_new(unsigned long long result) {
  const unsigned long long branches = result >> 8, before = seen;
  seen |= branches;
  return (branches & ~before) != 0;
}

static void print_input(const struct input *input) {
  for (size_t i = 0; i < input->length; ++i) printf("%02x", input->bytes[i]);
  putchar('\n');
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: %s TINTYPE MACHINE SECONDS [--all]\n", argv[0]);
    return 2;
  }
  const double limit = atof(argv[3]);
  const int all = argc > 4 && strcmp(argv[4], "--all") == 0;
  struct tintype_harness *const harness = tintype_harness_open(argv[1], argv[2]);
  if (harness == NULL) {
    perror("tintype_harness_open");
    return 1;
  }
  tintype_harness_set_timeout(harness, kTimeoutMs);
  srandom(7);
  int found[kBugs + 1] = {0}, bugs = 0, ended = 0;
  unsigned long long resets = 0, reset_ns = 0, pages = 0;
  const double start = seconds();
  tintype_harness_wait(harness);
  while (seconds() - start < limit && (all || bugs < kBugs)) {
    struct input input = corpus[below(2) ? corpus_size - 1 : below((unsigned)corpus_size)];
    change(&input);
    tintype_harness_give(harness, input.bytes, input.length);
    const struct tintype_area *const area = tintype_harness_wait(harness);
    if (area->result == TINTYPE_RESULT_ENDED) {
      ended = 1;
      break;
    }
    const int hangs = area->result == TINTYPE_RESULT_TIMEOUT;
    const int bug = hangs ? kHang : (int)(area->result & 0xff);
    ++resets;
    reset_ns += area->reset_ns;
    pages += area->pages;
    if (bug > 0 && bug <= kBugs && !found[bug]++) {
      ++bugs;
      printf("BUG %d after %llu inputs, %.1f s%s: ", bug, resets, seconds() - start, hangs ? " (it hangs)" : "");
      print_input(&input);
    }
    if (!hangs && bug == 0 && is_new(area->result) && corpus_size < kMostInputs) corpus[corpus_size++] = input;
  }
  const double took = seconds() - start;
  const double each = resets > 0 ? (double)resets : 1;
  printf("%d of %d bugs; %llu resets in %.1f s: %.0f a second, each %.0f us for %.0f pages\n", bugs, kBugs, resets,
         took, (double)resets / took, (double)reset_ns / each / 1e3, (double)pages / each);
  tintype_harness_close(harness);
  return ended || bugs < kBugs;
}
