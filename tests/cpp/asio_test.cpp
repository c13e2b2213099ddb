// SPDX-License-Identifier: MIT
//
// Both event descriptors in an Asio program, which polls edge-triggered.
#include <gtest/gtest.h>

#include "both_ends.hpp"
#include "support/process.hpp"

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

namespace {

using zbq::status;

// Lent to Asio: released before it is destroyed, since zbq closes it.
class lent_descriptor {
public:
    lent_descriptor(asio::io_context &loop, int fd) : descriptor_(loop, fd) {}
    lent_descriptor(const lent_descriptor &) = delete;
    lent_descriptor &operator=(const lent_descriptor &) = delete;
    lent_descriptor(lent_descriptor &&) = delete;
    lent_descriptor &operator=(lent_descriptor &&) = delete;
    ~lent_descriptor() { static_cast<void>(descriptor_.release()); }

    template <typename Handler>
    void when_readable(Handler handler) {
        descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                               [handler](const asio::error_code &failure) {
                                   if (!failure) {
                                       handler();
                                   }
                               });
    }

private:
    asio::posix::stream_descriptor descriptor_;
};

class reading {
public:
    reading(asio::io_context &loop, zbq::consumer consumer)
        : consumer_(std::move(consumer)), event_(loop, consumer_.event_fd()) {
        wait();
    }
    std::size_t messages = 0;
    zbq::status last = status::ok;

private:
    void wait() {
        event_.when_readable([this] { read(); });
    }
    void read() {
        for (last = status::ok; last == status::ok;) {
            const zbq::message message = consumer_.try_next();
            last = message.why();
            messages += message ? 1 : 0;
        }
        if (last == status::again) {
            wait();
        }
    }

    zbq::consumer consumer_;
    lent_descriptor event_;
};

class writing {
public:
    writing(asio::io_context &loop, zbq::producer producer, std::size_t messages)
        : producer_(std::move(producer)), event_(loop, producer_->event_fd()), left_(messages) {}

    void write() {
        const std::string payload(1000, 'x');
        while (left_ != 0) {
            if (producer_->try_publish(test::bytes(payload)) != status::ok) {
                ++waits;
                event_.when_readable([this] { write(); });
                return;
            }
            --left_;
        }
        producer_.reset();
    }
    std::size_t waits = 0;

private:
    std::optional<zbq::producer> producer_;
    lent_descriptor event_;
    std::size_t left_;
};

TEST(Asio, AProducerAndItsConsumersInOneLoop) {
    test::start_watchdog();
    constexpr std::size_t messages = 10'000;
    zbq::producer_options options;
    options.capacity = 4 * test::page;
    options.stall_timeout = {};
    zbq::producer ring(options);
    asio::io_context loop;
    reading first(loop, test::join(ring));
    reading second(loop, test::join(ring));
    writing publisher(loop, std::move(ring), messages);
    publisher.write();
    loop.run();
    EXPECT_GT(publisher.waits, 10U);
    for (const reading *reader : {&first, &second}) {
        EXPECT_EQ(reader->messages, messages);
        EXPECT_EQ(reader->last, status::none);
    }
}

} // namespace
