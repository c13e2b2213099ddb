// SPDX-License-Identifier: MIT
//
// A consumer next to its model: each call is made to both, and what they give must be the same.
#pragma once

#include "harness.hpp"
#include "model.hpp"
#include "support/rig.hpp"

#include <memory>

namespace fuzz {

class consumer_pair {
public:
    // Handed a slot, and not joined yet: the message waits in the socket. One that moves makes the
    // calls that came with observers, too.
    consumer_pair(const model_producer &ring, std::unique_ptr<model_consumer> model,
                  test::unique_fd rendezvous, bool moves);

    [[nodiscard]] const model_consumer &model() const { return *model_; }
    [[nodiscard]] bool is_joined() const { return handle_ != nullptr; }

    void step(FuzzedDataProvider &input);
    void leave();

    // What happened since the last look must show at the event descriptor.
    void check_event();

private:
    void join(FuzzedDataProvider &input);
    void look(FuzzedDataProvider &input);
    void ask(FuzzedDataProvider &input);
    void move(FuzzedDataProvider &input);
    void copy(FuzzedDataProvider &input);
    void skip(FuzzedDataProvider &input);
    void seek(FuzzedDataProvider &input);
    void resume(FuzzedDataProvider &input);
    void check_retained() const;
    void peek();
    void next();
    void walk(FuzzedDataProvider &input);
    void publish(FuzzedDataProvider &input);
    void cheat(FuzzedDataProvider &input);
    void collect(FuzzedDataProvider &input);
    void wait(FuzzedDataProvider &input);
    void watch();
    void check_words() const;
    void check_view(const zbq_msg_view &view, const model_view &expected) const;
    void looked(int result);

    // Of what a consumer is told: changes are news.
    struct state {
        std::uint64_t head;
        std::uint64_t newest_record;
        std::uint32_t eviction;
        bool closed;
        bool operator==(const state &) const = default;
    };
    [[nodiscard]] state now() const;

    const model_producer &ring_;
    std::unique_ptr<model_consumer> model_;
    test::unique_fd rendezvous_;
    bool moves_;
    test::consumer_ptr handle_;
    zbq_msg_view newest_ = {};
    std::uint32_t token_ = 0;
    int event_fd_ = -1;
    bool has_news_ = true; // readable from the start
    state known_ = {};
};

} // namespace fuzz
