// SPDX-License-Identifier: MIT
//
// libqb: a shared ring buffer for each receiver, written and read in place.
#pragma once

#include "../link.hpp"
#include "sockets.hpp"

#include <algorithm>
#include <memory>
#include <qb/qbrb.h>
#include <string>
#include <unistd.h>

namespace bench {

class libqb_ring {
public:
    static constexpr const char *name = "libqb";

    explicit libqb_ring(const link_options &options) : options_(options) {
        static int made = 0;
        const std::size_t size = std::max<std::size_t>(1U << 20U, 8 * (options.size + 64));
        for (unsigned i = 0; i < options.receivers; ++i) {
            const std::string path =
                "zbq-bench-" + std::to_string(getpid()) + "-" + std::to_string(++made);
            const std::uint32_t flags =
                QB_RB_FLAG_CREATE | QB_RB_FLAG_SHARED_PROCESS |
                (options.sleeping ? 0U : std::uint32_t{QB_RB_FLAG_NO_SEMAPHORE});
            rings_.emplace_back(qb_rb_open(path.c_str(), size, flags, 0));
            if (!rings_.back()) {
                fail("qb_rb_open");
            }
        }
    }
    void become_sender() {}
    void become_receiver(unsigned index) { own_ = rings_.at(index).get(); }

    void send(std::size_t size, std::uint64_t number) {
        for (const auto &ring : rings_) {
            void *room = qb_rb_chunk_alloc(ring.get(), size);
            while (room == nullptr) {
                if (options_.oversubscribed) {
                    usleep(50);
                } else {
                    pause_processor();
                }
                room = qb_rb_chunk_alloc(ring.get(), size);
            }
            fill(static_cast<std::byte *>(room), size, number);
            qb_rb_chunk_commit(ring.get(), size);
        }
    }
    void flush() {}

    template <typename Visit>
    void receive(const Visit &visit) {
        void *chunk = nullptr;
        const ssize_t size = qb_rb_chunk_peek(own_, &chunk, options_.sleeping ? -1 : 0);
        if (size > 0) {
            visit(std::span<const std::byte>(static_cast<const std::byte *>(chunk),
                                             static_cast<std::size_t>(size)));
            qb_rb_chunk_reclaim(own_);
        }
    }

private:
    struct close_ring {
        void operator()(qb_ringbuffer_t *ring) const { qb_rb_close(ring); }
    };

    link_options options_;
    std::vector<std::unique_ptr<qb_ringbuffer_t, close_ring>> rings_;
    qb_ringbuffer_t *own_ = nullptr;
};

} // namespace bench
