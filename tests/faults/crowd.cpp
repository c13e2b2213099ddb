// SPDX-License-Identifier: MIT
#include "crowd.hpp"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace faults {

namespace {

// So much has to have been read, for a round to be one.
std::uint64_t least_messages(fate what) {
    return what == fate::hoarder ? 2000 : 200; // the records of so many are too many
}

} // namespace

crowd::crowd(const shared_board &shared, const std::vector<plan> &plans, const life &common)
    : board_(shared), started_at_(now_ns()) {
    for (const plan &planned : plans) {
        person &who = people_.emplace_back();
        who.what = common;
        who.what.what = planned;
        who.what.account = static_cast<std::uint32_t>(people_.size() - 1);
        who.due = started_at_ + planned.starts_after_ns;
    }
}

account &crowd::account_of(const person &who) const {
    return board_->accounts[who.what.account];
}

void crowd::start(person *who) {
    who->process = std::make_unique<test::child>([who] { return live(who->what); });
    who->now = stage::runs;
    who->due = now_ns() + who->what.what.acts_after_ns;
}

void crowd::note_end(person *who) {
    who->status = who->process->wait();
    std::uint64_t unknown = 0;
    account_of(*who).gone_at.compare_exchange_strong(unknown, now_ns());
    who->now = stage::ended;
}

void crowd::kill(person *who) {
    who->process->kill();
    who->was_killed = true;
    note_end(who);
}

void crowd::stop(person *who) {
    if (who->process->stop_unless_ended()) {
        who->was_stopped = true;
        who->now = stage::stopped;
    } else {
        note_end(who);
    }
}

// What is to be done to one who runs, once it is time.
void crowd::act(person *who) {
    const account &its = account_of(*who);
    const bool joined = its.joined;
    if (joined && who->joined_at == 0) {
        who->joined_at = now_ns();
        who->due = who->what.what.acts_once_joined ? who->joined_at + who->what.what.acts_after_ns
                                                   : who->due;
    }
    const bool due = now_ns() >= who->due;
    switch (who->what.what.what) {
    case fate::killed:
        if (due && (joined || !who->what.what.acts_once_joined)) {
            kill(who);
        }
        break;
    case fate::stopped:
        if (due && joined) {
            stop(who);
        }
        break;
    case fate::executes:
        if (its.acted && its.eviction != 0) {
            who->process->signal(SIGTERM);
            who->now = stage::done;
        }
        break;
    default:
        if (its.acted && its.messages >= least_messages(who->what.what.what)) {
            who->now = stage::done;
        }
        break;
    }
}

void crowd::advance(person *who) {
    if (who->process && who->now != stage::ended && who->process->has_ended()) {
        note_end(who);
    }
    switch (who->now) {
    case stage::waits:
        if (now_ns() >= who->due) {
            start(who);
        }
        break;
    case stage::runs:
        act(who);
        break;
    case stage::stopped:
        if (account_of(*who).eviction != 0) {
            who->head_to_reach = board_->head + 2 * board_->capacity; // over all it may be reading
            who->now = stage::evicted;
        }
        break;
    case stage::evicted:
        if (board_->head >= who->head_to_reach) {
            who->process->signal(SIGCONT);
            who->now = stage::done;
        }
        break;
    case stage::done:
    case stage::ended:
        break;
    }
}

void crowd::advance() {
    for (person &who : people_) {
        advance(&who);
    }
}

bool crowd::is_set() const {
    return std::all_of(people_.begin(), people_.end(), [](const person &who) {
        return who.now == stage::done || who.now == stage::ended;
    });
}

bool crowd::all_joined() const {
    return std::all_of(people_.begin(), people_.end(), [this](const person &who) {
        return who.now == stage::ended || account_of(who).joined;
    });
}

bool crowd::all_ended() {
    advance();
    return std::all_of(people_.begin(), people_.end(),
                       [](const person &who) { return who.now == stage::ended; });
}

// ---- judgement ----

void crowd::judge(const person &who, tally *sum) const {
    const account &its = account_of(who);
    const fate what = who.what.what.what;
    SCOPED_TRACE(fmt::format("consumer {}, {}", who.what.account, name_of(what)));
    const bool slain = who.was_killed || what == fate::half_joined;
    EXPECT_TRUE(who.status == 0 || (slain && who.status == 128 + SIGKILL)) << who.status;
    if (its.first == 0) {
        EXPECT_TRUE(slain || its.end == ending::not_joined || what == fate::closer);
        ++sum->not_admitted;
        return;
    }
    ++sum->admitted;
    const std::uint32_t eviction = its.eviction;
    EXPECT_NE(eviction, std::uint32_t{ZBQ_EVICTION_PROTOCOL});
    ++sum->evictions[eviction];
    if (its.seen_at > its.gone_at) {
        EXPECT_EQ(eviction, std::uint32_t{ZBQ_EVICTION_DEAD}) << "had a slot after it was gone";
    }
    if (who.was_stopped) {
        EXPECT_NE(eviction, std::uint32_t{ZBQ_EVICTION_DEAD});
        EXPECT_EQ(its.end, ending::evicted);
        ++sum->resumed;
    }
    const bool told = its.end == ending::evicted;
    if (told) {
        EXPECT_EQ(its.told_eviction, eviction);
    }
    sum->survivors_evicted += told && (what == fate::survivor || what == fate::starved) ? 1 : 0;
    const bool reads_all = what == fate::survivor || what == fate::starved || what == fate::hoarder;
    EXPECT_TRUE(!reads_all || its.end == ending::at_mark || told);
    sum->executed += what == fate::executes && its.acted ? 1 : 0;
}

void crowd::count(tally *sum) const {
    for (const person &who : people_) {
        const account &its = account_of(who);
        ++sum->consumers[static_cast<std::size_t>(who.what.what.what)];
        sum->messages += its.messages;
        sum->bytes += its.bytes;
        sum->records += its.records;
        sum->refused_records += its.refused_records;
        sum->torn += its.torn;
    }
}

void crowd::judge(tally *sum) const {
    count(sum);
    for (const person &who : people_) {
        judge(who, sum);
    }
}

void crowd::judge_against(ending how, std::uint64_t head, tally *sum) const {
    count(sum);
    for (const person &who : people_) {
        const account &its = account_of(who);
        SCOPED_TRACE(fmt::format("consumer {}", who.what.account));
        EXPECT_EQ(who.status, 0);
        if (its.end == ending::not_joined) {
            EXPECT_EQ(how, ending::producer_died);
            ++sum->not_admitted;
        } else if (its.end == ending::evicted) {
            ++sum->admitted;
            ++sum->survivors_evicted;
        } else {
            ++sum->admitted;
            EXPECT_EQ(its.end, how);
            EXPECT_EQ(its.tail, head);
        }
    }
}

void tally::print(const char *title) const {
    fmt::print("{}: {} rounds, {} messages published; consumers:", title, rounds, published);
    for (std::size_t i = 0; i < fates; ++i) {
        if (consumers[i] != 0) {
            fmt::print(" {} {}", consumers[i], name_of(static_cast<fate>(i)));
        }
    }
    fmt::print("\n  {} got a slot, {} died before; {} survivors evicted, whom the machine had kept"
               " from running\n",
               admitted, not_admitted, survivors_evicted);
    if (evictions[ZBQ_EVICTION_DEAD] != 0) {
        fmt::print("  evicted: {} dead or gone, {} stalled, {} stalled on the side socket\n",
                   evictions[ZBQ_EVICTION_DEAD], evictions[ZBQ_EVICTION_STALLED],
                   evictions[ZBQ_EVICTION_SIDE_STALLED]);
        fmt::print("  {} stopped, evicted and resumed; {} executed; {} torn messages, all known to"
                   " be so\n",
                   resumed, executed, torn);
    }
    fmt::print("  {} messages and {} bytes checked, {} records of descriptors ({} refused for want"
               " of descriptors)\n",
               messages, bytes, records, refused_records);
    fmt::print("  longest wait of the producer: {:.1f} ms\n",
               static_cast<double>(longest_wait) / 1e6);
}

} // namespace faults
