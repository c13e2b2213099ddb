// SPDX-License-Identifier: MIT
//
// Standard streams.
#pragma once

#include <string_view>

namespace zbq::tool {

// Occupies closed standard descriptors, so that nothing else gets their numbers; using one
// fails all the same.
void guard_standard_streams();

// ---- standard output: what the tool is for ----

enum class write_result {
    done,
    stopped,     // by a signal
    reader_gone, // nobody takes it any more
    failed,      // errno says why
};

// All of it.
write_result write_output(std::string_view bytes);

// What to end with after that. Says why it failed; a reader that went away is nothing to speak of.
int status_after(write_result result);

// Whether nobody reads it any more, as far as can be seen without writing.
bool output_reader_gone();

// ---- standard error: what it says beside that ----
//
// None of these fails or touches errno, whatever becomes of the text.

// A line, now or never: a stream does not wait for whoever reads its messages slowly.
void say(std::string_view text);

// The same for a last line, which waits for a moment.
void say_at_last(std::string_view text);

// As it is, now or never.
void show(std::string_view raw);

} // namespace zbq::tool
