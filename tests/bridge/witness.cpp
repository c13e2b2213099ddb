// SPDX-License-Identifier: MIT
//
// A reader of an imported ring that accounts for every byte of the originals: each is received,
// once, or in a gap that was told. What is published is 13 bytes a message, a letter for the
// publisher's run and its number in that from 0 on, so that a message says where it belongs.
//
// witness NAME LETTER COUNT: until all of that run's messages are accounted for. Then what there
// was, a line for each ring.
#include <zbq.hpp>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace {

constexpr std::uint64_t room = 32; // of a message in its ring
constexpr std::uint16_t note_key = 32767;

struct account {
    std::uint64_t next = 0;
    std::uint64_t received = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t missed = 0;
    std::uint64_t gaps = 0;
    std::uint64_t lost_here = 0;
    std::string causes;
    char run = '?';
};

[[noreturn]] void fail(const std::string &why) {
    std::fprintf(stderr, "witness: %s\n", why.c_str());
    std::exit(1);
}

class witness {
public:
    // The first note of a ring here: what was in rings that came and went before it, nobody told
    // this reader, but the note does.
    void join() { has_joined_ = true; }

    // Of what is retained, where a ring is joined, and in the stream.
    void note(const std::string &text) {
        const auto found = nlohmann::json::parse(text);
        ring_ = found.at("ring").get<std::string>();
        offset_ = found.at("offset").get<std::uint64_t>();
        here_ = found.at("here").get<std::uint64_t>();
        is_beside_ = found.value("beside", false);
        const bool is_new = !accounts_.contains(ring_);
        account &now = accounts_[ring_];
        if (is_new && !found.contains("missing")) {
            now.next = offset_; // where the exporter began
        }
        if (std::exchange(has_joined_, false) && offset_ > now.next && !found.contains("missing")) {
            now.lost_here += offset_ - now.next;
            now.next = offset_;
        }
        if (found.contains("missing") && text != last_) {
            const auto bytes = found.at("missing").get<std::uint64_t>();
            now.gaps += 1;
            now.causes += found.at("cause").get<std::string>() + ';';
            if (offset_ > now.next) {
                if (bytes < offset_ - now.next) {
                    fail("a gap of fewer bytes than are missing: " + text);
                }
                now.missed += offset_ - now.next;
                now.next = offset_;
            }
        }
        last_ = text;
    }

    void message(std::uint64_t local, const std::string &text) {
        if (is_beside_) {
            return;
        }
        if (local < here_) {
            fail("a message before its note");
        }
        const std::uint64_t origin = offset_ + (local - here_);
        std::uint64_t number = 0;
        if (text.size() != 13) {
            fail("a message of " + std::to_string(text.size()) + " bytes");
        }
        std::from_chars(&text[1], &text[12], number);
        if (number * room != origin) {
            fail(text.substr(0, 12) + " at " + std::to_string(origin));
        }
        account &now = accounts_[ring_];
        if (now.run != '?' && now.run != text[0]) {
            fail("two runs in one ring");
        }
        now.run = text[0];
        if (origin > now.next) {
            fail("silence: " + std::to_string(now.next) + " to " + std::to_string(origin));
        }
        if (origin < now.next) {
            ++now.duplicates;
            return;
        }
        now.next += room;
        ++now.received;
    }

    [[nodiscard]] bool has_all(char run, std::uint64_t count) const {
        return std::ranges::any_of(accounts_, [&](const auto &each) {
            return each.second.run == run && each.second.next >= count * room;
        });
    }

    void tell() const {
        for (const auto &[ring, one] : accounts_) {
            std::printf(
                "%c received %llu missed %llu gaps %llu duplicates %llu here %llu causes %s\n",
                one.run, static_cast<unsigned long long>(one.received),
                static_cast<unsigned long long>(one.missed),
                static_cast<unsigned long long>(one.gaps),
                static_cast<unsigned long long>(one.duplicates),
                static_cast<unsigned long long>(one.lost_here), one.causes.c_str());
        }
    }

private:
    std::map<std::string, account> accounts_;
    std::string ring_;
    std::string last_;
    std::uint64_t offset_ = 0;
    std::uint64_t here_ = 0;
    bool is_beside_ = false;
    bool has_joined_ = false;
};

std::string text_of(std::span<const std::byte> bytes) {
    return std::string(zbq::text_of(bytes));
}

void step(zbq::subscription &ring, witness &seen, std::uint64_t &joins) {
    if (ring.wait(zbq::never) != zbq::status::ok) {
        fail("it cannot wait");
    }
    if (const auto missed = ring.take_gap(); missed && missed->bytes != 0) {
        fail("missed here, where it waits for nobody: " +
             std::string(zbq::to_string(missed->cause)));
    }
    if (ring.reader() != nullptr && joins != ring.joins()) {
        joins = ring.joins();
        seen.join();
        for (const zbq::message_view &kept : ring.reader()->retained()) {
            if (kept.key() == note_key && ring.reader()->offset() != 0) {
                seen.note(text_of(kept.payload()));
            }
        }
    }
    if (const zbq::message next = ring.try_next()) {
        const std::string text = text_of(next.payload());
        if (!next.intact()) {
            fail("evicted");
        }
        if (next.key() == note_key) {
            seen.note(text);
        } else {
            seen.message(next.offset(), text);
        }
    }
}

// An importer that is killed while this joins it is no reason to end: joining can be tried again.
void follow(const char *name, char run, std::uint64_t count) {
    zbq::subscription ring(name, {.from = zbq::start::oldest()});
    witness seen;
    std::uint64_t joins = 0;
    while (!seen.has_all(run, count)) {
        try {
            step(ring, seen, joins);
        } catch (const zbq::error &failed) {
            if (failed.code() != zbq::status::io) {
                throw;
            }
        }
    }
    seen.tell();
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 4) {
        return 2;
    }
    try {
        follow(argv[1], argv[2][0], std::strtoull(argv[3], nullptr, 10));
    } catch (const std::exception &failed) {
        fail(failed.what());
    }
    return 0;
}
