// SPDX-License-Identifier: MIT
//
// Each operation is run once to see which calls it makes, to the kernel and to the allocator. Then
// it is run again for every one of them and for every failure that the call can have, with just
// that one failing. Each time it must give what table.txt says, leave nothing over, and work when
// it is tried again; and the ring must go on, with nothing lost to anybody.
#include "interposer.hpp"
#include "operations.hpp"
#include "table.hpp"

#include <cerrno>
#include <cstdlib>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <sstream>
#include <stdexcept>
#include <unistd.h>

namespace inject {

namespace {

// ---- one run ----

std::string evictions(const zbq_producer_statistics &before, const zbq_producer_statistics &after) {
    static const char *const names[] = {"",          "+DEAD", "+STALLED", "+SIDE_STALLED",
                                        "+PROTOCOL", "+SLOW", "+DEAR"};
    std::string all;
    for (unsigned reason = ZBQ_EVICTION_DEAD; reason <= ZBQ_EVICTION_DEAR; ++reason) {
        all += after.evicted[reason] != before.evicted[reason] ? names[reason] : "";
    }
    return all;
}

struct outcome {
    std::string call;    // what the call gave,
    std::string result;  // and all that is in the table: evictions, what was to be seen afterwards
    int error = 0;       // errno
    bool failed = false; // the chosen call was made
    bool left_something = false;
    std::vector<std::string> calls;
};

outcome run(const operation &what, scene *at, const std::string &call, unsigned nth, int failure) {
    outcome seen;
    what.prepare(*at);
    const zbq_producer_statistics before = test::stats(at->ring());
    const holdings held = held_now();
    {
        const session calls(call, nth, failure);
        errno = 0;
        seen.call = what.run(*at);
        seen.error = errno;
        seen.failed = calls.has_failed();
        seen.calls = calls.calls();
    }
    seen.left_something = held_now() != held;
    seen.result = seen.call;
    if (at->prod) {
        seen.result += evictions(before, test::stats(at->ring()));
    }
    if (what.after) {
        seen.result += what.after(*at, seen.call);
    }
    return seen;
}

outcome run_without_failure(const operation &what, scene *at) {
    return run(what, at, "", 0, 0);
}

standing_answer kernel_of(const operation &what) {
    return {what.missing_call, ENOPROTOOPT};
}

// ---- one failure ----

// An error travels with the errno of the call that failed.
void check_errno(const outcome &seen, int failure) {
    const bool is_errno = failure < cut_control;
    const bool told = seen.call == "IO" || seen.call == "NOMEM";
    const bool translated =
        (failure == EINVAL && seen.error == EFBIG) || // a size
                                                      // Locked memory, and memory of a socket.
        ((failure == EAGAIN || failure == ENOBUFS) && seen.error == ENOMEM);
    if (is_errno && told && !translated) {
        EXPECT_EQ(seen.error, failure) << "errno is another call's";
    }
}

bool has_evictions(const std::string &result) {
    return result.find('+') != std::string::npos;
}

// Nor what was to be seen: the call's own result.
std::string without_evictions(const std::string &result) {
    return result.substr(0, result.find_first_of("+,"));
}

// What failed works when it is tried again, unless the subject is gone.
void try_again(const operation &what, const operation_rows &rows, const outcome &seen, scene *at) {
    if (!has_evictions(seen.result)) {
        EXPECT_EQ(run_without_failure(what, at).result, rows.result) << "tried again";
    } else if (has_evictions(rows.result)) {
        EXPECT_EQ(run_without_failure(what, at).call, without_evictions(rows.result))
            << "tried again";
    }
}

void try_failure(const operation &what, const operation_rows &rows, const std::string &call,
                 unsigned nth, int failure, const std::string &expected) {
    const standing_answer kernel = kernel_of(what);
    scene at(what.options);
    const outcome seen = run(what, &at, call, nth, failure);
    ASSERT_TRUE(seen.failed) << "the call was not made this time";
    const bool for_good = expected.back() == '!';
    EXPECT_EQ(seen.result, expected.substr(0, expected.size() - (for_good ? 1 : 0)));
    check_errno(seen, failure);
    if (what.leaves_nothing && seen.call != without_evictions(rows.result)) {
        EXPECT_FALSE(seen.left_something);
    }
    if (seen.result != rows.result && !for_good) {
        try_again(what, rows, seen, &at);
    }
    at.check_that_it_goes_on();
}

void check_failure(const operation &what, const operation_rows &rows, const std::string &call,
                   unsigned nth, int failure, const std::string &expected) {
    SCOPED_TRACE(what.name + ", " + call + " #" + std::to_string(nth) + ", " +
                 failure_name(failure));
    const holdings before = held_now();
    misuses();
    try_failure(what, rows, call, nth, failure, expected);
    const holdings after = held_now();
    EXPECT_EQ(before, after) << describe(before) << ", then " << describe(after);
    EXPECT_EQ(misuses(), 0U) << "closed or unmapped what was not there";
}

// ---- all failures of an operation ----

std::vector<std::string> calls_of(const operation &what, const operation_rows &rows) {
    const standing_answer kernel = kernel_of(what);
    scene at(what.options);
    outcome seen = run_without_failure(what, &at);
    EXPECT_EQ(seen.result, rows.result) << "without a failure";
    at.check_that_it_goes_on();
    return seen.calls;
}

// Calls that the table tells of and that are not made.
void check_unused(const operation_rows &rows, const std::map<std::string, unsigned> &made) {
    for (const auto &[key, row] : rows.rows) {
        const std::size_t mark = key.find('#');
        const auto found = made.find(key.substr(0, mark));
        const unsigned wanted = mark == std::string::npos
                                    ? 1U
                                    : static_cast<unsigned>(std::stoul(key.substr(mark + 1)));
        EXPECT_TRUE(row.optional || (found != made.end() && found->second >= wanted))
            << "the table has a call that is not made: " << key;
    }
}

void check_operation(const operation &what, const operation_rows &rows) {
    std::map<std::string, unsigned> made;
    for (const std::string &call : calls_of(what, rows)) {
        const unsigned nth = ++made[call];
        const row *expected = find_row(rows, call, nth);
        if (expected == nullptr) {
            ADD_FAILURE() << what.name << ": the table does not know the call " << call << " #"
                          << nth;
            continue;
        }
        for (const auto &[failure, result] : expected->results) {
            check_failure(what, rows, call, nth, failure, result);
        }
    }
    check_unused(rows, made);
}

class Inject : public testing::TestWithParam<const operation *> {};

TEST_P(Inject, EveryFailure) {
    const operation &what = *GetParam();
    const auto rows = the_table().operations.find(what.name);
    ASSERT_NE(rows, the_table().operations.end()) << "the table does not know the operation";
    check_operation(what, rows->second);
}

std::vector<const operation *> all_operations() {
    std::vector<const operation *> all;
    for (const operation &what : operations()) {
        all.push_back(&what);
    }
    return all;
}

INSTANTIATE_TEST_SUITE_P(Of, Inject, testing::ValuesIn(all_operations()),
                         [](const auto &what) { return what.param->name; });

// ---- the harness can fail ----

const operation &named(const std::string &name) {
    for (const operation &what : operations()) {
        if (what.name == name) {
            return what;
        }
    }
    throw std::runtime_error("no operation " + name);
}

operation_rows rows_of(const std::string &name) {
    return the_table().operations.at(name);
}

TEST(InjectItself, SeesACallThatTheTableDoesNotKnow) {
    static operation_rows rows = rows_of("is_producer_alive");
    rows.rows.clear();
    EXPECT_NONFATAL_FAILURE(check_operation(named("is_producer_alive"), rows),
                            "does not know the call poll #1");
}

TEST(InjectItself, SeesACallThatIsNotMade) {
    static operation_rows rows = rows_of("is_producer_alive");
    rows.rows["poll#2"] = {};
    EXPECT_NONFATAL_FAILURE(check_operation(named("is_producer_alive"), rows),
                            "a call that is not made: poll#2");
}

TEST(InjectItself, SeesAnotherResult) {
    static operation_rows rows = rows_of("is_producer_alive");
    rows.rows["poll"].results[EINVAL] = "false";
    EXPECT_NONFATAL_FAILURE(check_operation(named("is_producer_alive"), rows), "false");
}

TEST(InjectItself, SeesALeakedDescriptor) {
    static int leaked = -1;
    static operation what = named("is_producer_alive");
    what.after = [](scene & /*unused*/, const std::string & /*unused*/) {
        leaked = dup(STDIN_FILENO);
        return "";
    };
    EXPECT_NONFATAL_FAILURE(
        check_failure(what, rows_of("is_producer_alive"), "poll", 1, EINVAL, "true"),
        "descriptors");
    close(leaked);
}

TEST(InjectItself, SeesALeakedAllocation) {
    static void *leaked = nullptr;
    static operation what = named("is_producer_alive");
    what.after = [](scene & /*unused*/, const std::string & /*unused*/) {
        leaked = std::calloc(1, 1);
        return "";
    };
    EXPECT_NONFATAL_FAILURE(
        check_failure(what, rows_of("is_producer_alive"), "poll", 1, EINVAL, "true"),
        "allocations");
    std::free(leaked);
}

TEST(InjectItself, SeesASecondClose) {
    static operation what = named("is_producer_alive");
    what.after = [](scene & /*unused*/, const std::string & /*unused*/) {
        const int fd = dup(STDIN_FILENO);
        close(fd);
        close(fd);
        return "";
    };
    EXPECT_NONFATAL_FAILURE(
        check_failure(what, rows_of("is_producer_alive"), "poll", 1, EINVAL, "true"),
        "closed or unmapped");
}

table read_text(const std::string &text) {
    std::istringstream stream(text);
    return read_table(stream);
}

TEST(InjectItself, ReadsATable) {
    const table read = read_text("failures poll EINTR EINVAL\n"
                                 "operation look OK\n"
                                 "poll#2 EINTR:OK *:IO | made again\n"
                                 "?poll *:IO\n");
    const operation_rows &rows = read.operations.at("look");
    EXPECT_EQ(find_row(rows, "poll", 2)->results.at(EINTR), "OK");
    EXPECT_EQ(find_row(rows, "poll", 2)->results.at(EINVAL), "IO");
    EXPECT_EQ(find_row(rows, "poll", 1)->results.at(EINTR), "IO");
    EXPECT_TRUE(find_row(rows, "poll", 1)->optional);
    EXPECT_EQ(find_row(rows, "close", 1), nullptr);
}

TEST(InjectItself, RefusesATableThatIsNotWhole) {
    const std::string start = "failures poll EINTR EINVAL\noperation look OK\n";
    EXPECT_NO_THROW(read_text(start + "poll *:IO\n"));
    EXPECT_THROW(read_text(start + "poll EINTR:IO\n"), std::runtime_error); // EINVAL is left out
    EXPECT_THROW(read_text(start + "poll EIO:IO *:IO\n"), std::runtime_error);
    EXPECT_THROW(read_text(start + "poll EWHAT:IO *:IO\n"), std::runtime_error);
    EXPECT_THROW(read_text(start + "poll *:OK\n"), std::runtime_error); // without a reason
    EXPECT_THROW(read_text(start + "close *:IO\n"), std::runtime_error);
    EXPECT_THROW(read_text(start + "poll *:IO\npoll *:IO\n"), std::runtime_error);
}

} // namespace

} // namespace inject
