// SPDX-License-Identifier: MIT
#include "scene.hpp"

#include "producer.hpp"
#include "support/descriptors.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace inject {

namespace {

constexpr std::uint64_t message_size = 32; // on the ring, with up to 16 digits

bool is_same_file(int first, int second) {
    struct stat one = {};
    struct stat other = {};
    return fstat(first, &one) == 0 && fstat(second, &other) == 0 && one.st_ino == other.st_ino;
}

} // namespace

std::string name_of(int result) {
    switch (result) {
    case ZBQ_OK:
        return "OK";
    case ZBQ_ERROR_INVALID:
        return "INVALID";
    case ZBQ_ERROR_NOMEM:
        return "NOMEM";
    case ZBQ_ERROR_AGAIN:
        return "AGAIN";
    case ZBQ_ERROR_IO:
        return "IO";
    case ZBQ_ERROR_PROTOCOL:
        return "PROTOCOL";
    case ZBQ_ERROR_NOENT:
        return "NOENT";
    default:
        return std::to_string(result);
    }
}

scene::scene(const test::ring_options &options)
    : prod(test::make_producer(options)), payload_(test::numbered(1)) {
    add_reader();
    add_reader();
}

void scene::add_reader() {
    test::joined joined = test::join(ring());
    readers.push_back({std::move(joined.consumer), joined.slot, committed, records.size()});
}

void scene::adopt(test::consumer_ptr joined, zbq_wakeup_mode mode) {
    is_awaiting_join = false;
    readers.push_back({std::move(joined), new_slot, committed, records.size(), mode});
}

bool scene::publish() {
    std::string number = std::to_string(committed);
    number.resize(message_size - sizeof(zbq_msg_header), ' ');
    const bool published = test::publish(ring(), number);
    committed += published ? 1 : 0;
    return published;
}

void scene::fill() {
    while (true) {
        const zbq_producer_statistics now = test::stats(ring());
        if (now.head - now.slowest_tail + message_size > ring()->capacity) {
            return;
        }
        ASSERT_TRUE(publish());
    }
}

std::string read_one(reader *who) {
    std::string payload;
    const int result = test::read_one(who->consumer.get(), &payload);
    if (result == ZBQ_OK) {
        EXPECT_EQ(std::stoull(payload), who->next_message);
        ++who->next_message;
    }
    return name_of(result);
}

void scene::read_all(reader *who) const {
    while (read_one(who) == "OK") {
    }
    EXPECT_EQ(who->next_message, committed) << "messages were lost";
}

void scene::queue_record(std::uint8_t fd_count) {
    if (pending.seq_id == 0) {
        pending = {zbq_producer_next_seq_id(ring()), fd_count};
    }
}

std::string scene::send_pending() {
    std::array<int, ZBQ_MAX_FD_PER_MSG> fds = {};
    fds.fill(payload_.get());
    const int result =
        zbq_producer_broadcast_fds(ring(), pending.seq_id, fds.data(), pending.fd_count);
    if (result == ZBQ_OK) {
        records.push_back(pending);
        pending = {};
    }
    return name_of(result);
}

std::string scene::retain(std::uint16_t key) {
    std::string number = std::to_string(committed);
    number.resize(message_size - sizeof(zbq_msg_header), ' ');
    const zbq_msg_header header = {static_cast<std::uint32_t>(number.size()), 1, 0, 0,
                                   records.back().seq_id};
    const int carried = payload_.get();
    const int result = zbq_producer_retain(ring(), key, &header, number.data(), &carried);
    committed += result == ZBQ_OK ? 1 : 0;
    return name_of(result);
}

std::string scene::receive(reader *who) {
    received_count = 99;
    return name_of(zbq_consumer_recv_fds(who->consumer.get(), records[who->next_record].seq_id,
                                         received.data(), &received_count));
}

void scene::finish_receiving(reader *who, const std::string &result) {
    const std::uint8_t expected = result == "OK" ? records[who->next_record].fd_count : 0;
    ASSERT_EQ(received_count, expected);
    for (unsigned i = 0; i < received_count; ++i) {
        EXPECT_TRUE(is_same_file(received.at(i), payload_.get()));
        close(received.at(i));
    }
    // A record that came cut off is lost, and was told of.
    who->next_record += result == "OK" || result == "PROTOCOL" ? 1 : 0;
}

void scene::collect_all(reader *who) {
    while (who->mode == ZBQ_WAKEUP_PUSH && who->next_record != records.size()) {
        const std::string result = receive(who);
        ASSERT_EQ(result, "OK") << "a record was lost";
        finish_receiving(who, result);
    }
}

void scene::check_the_end() {
    for (reader &who : readers) {
        if (who.consumer) {
            read_all(&who);
            EXPECT_EQ(read_one(&who), "NOENT");
        }
    }
}

void scene::check_that_it_goes_on() {
    if (!prod) {
        check_the_end();
        return;
    }
    if (is_awaiting_join) {
        zbq_consumer *joined = nullptr;
        ASSERT_EQ(zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH, &joined), ZBQ_OK);
        adopt(test::consumer_ptr(joined), ZBQ_WAKEUP_PUSH);
    }
    std::erase_if(readers, [](const reader &who) {
        return !who.consumer || !zbq_consumer_valid(who.consumer.get());
    });
    ASSERT_FALSE(readers.empty());
    for (reader &who : readers) {
        read_all(&who);
        collect_all(&who);
    }
    if (pending.seq_id != 0) {
        EXPECT_EQ(send_pending(), "OK");
    }
    queue_record(1);
    EXPECT_EQ(send_pending(), "OK");
    EXPECT_TRUE(publish());
    for (reader &who : readers) {
        collect_all(&who);
        read_all(&who);
    }
}

} // namespace inject
