// SPDX-License-Identifier: MIT
//
// Packets on the side and event sockets, as a hostile peer may send them: any bytes, any number
// and kind of descriptors. One half of the inputs is a producer's, to zbq_consumer_recv_fds; the
// other a consumer's, to the producer's scan.
#include "harness.hpp"
#include "scm.hpp"
#include "support/pretender.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

using test::page;
using test::unique_fd;

// ---- descriptors to send ----

struct file_id {
    dev_t device;
    ino_t inode;
    bool operator==(const file_id &) const = default;
};

file_id id_of(int fd) {
    struct stat status = {};
    MUST(fstat(fd, &status) == 0);
    return {status.st_dev, status.st_ino};
}

const std::vector<unique_fd> &menu() {
    static const std::vector<unique_fd> made = [] {
        std::vector<unique_fd> fds;
        fds.emplace_back(memfd_create("fuzz", MFD_CLOEXEC));
        fds.emplace_back(eventfd(0, EFD_CLOEXEC));
        fds.emplace_back(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        fds.emplace_back(open("/dev/null", O_RDWR | O_CLOEXEC));
        fds.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        int ends[2] = {-1, -1};
        MUST(pipe2(ends, O_CLOEXEC) == 0);
        fds.emplace_back(ends[0]);
        fds.emplace_back(ends[1]);
        return fds;
    }();
    return made;
}

struct packet {
    std::vector<char> bytes;
    std::vector<int> fds;
};

// Such bytes, with changes: zeros change nothing.
template <typename Record>
std::vector<char> bytes_of(FuzzedDataProvider &input, const Record &right) {
    std::vector<char> bytes(sizeof right);
    std::memcpy(bytes.data(), &right, sizeof right);
    if (input.ConsumeBool()) {
        const auto changes = input.ConsumeBytes<char>(sizeof right);
        for (std::size_t i = 0; i < changes.size(); ++i) {
            bytes[i] = static_cast<char>(bytes[i] ^ changes[i]);
        }
    }
    constexpr std::size_t sizes[] = {16, 0, 1, 4, 15, 17, 64, 4096};
    bytes.resize(fuzz::one_of(input, sizes));
    return bytes;
}

std::vector<int> some_descriptors(FuzzedDataProvider &input, unsigned count) {
    std::vector<int> fds;
    for (unsigned i = 0; i < count; ++i) {
        fds.push_back(
            menu()[input.ConsumeIntegralInRange<std::size_t>(0, menu().size() - 1)].get());
    }
    return fds;
}

bool send(int socket, const packet &what) {
    return zbq::core::send_record(socket, what.bytes.data(), what.bytes.size(), what.fds.data(),
                                  static_cast<unsigned>(what.fds.size())) >= 0;
}

// ---- to a consumer ----

// What docs/protocol.md says of records, and zbq.h of recv_fds.
class reference {
public:
    explicit reference(std::uint64_t floor) : newest_(floor) {}

    void sent(const packet &what) { waiting_.push_back(what); }
    void closed() { closed_ = true; }

    int expect(std::uint64_t wanted, std::vector<int> *fds) {
        for (;;) {
            if (held_seq_ != 0 && held_seq_ >= wanted) {
                return take_held(wanted, fds);
            }
            held_seq_ = 0;
            if (wanted <= newest_) {
                return ZBQ_ERROR_NOENT;
            }
            const int result = receive();
            if (result != ZBQ_OK) {
                return result;
            }
        }
    }

private:
    int take_held(std::uint64_t wanted, std::vector<int> *fds) {
        if (held_seq_ != wanted) {
            return ZBQ_ERROR_NOENT;
        }
        held_seq_ = 0;
        *fds = held_;
        return ZBQ_OK;
    }

    int receive() {
        if (waiting_.empty()) {
            return closed_ ? ZBQ_ERROR_NOENT : ZBQ_ERROR_AGAIN;
        }
        const packet next = waiting_.front();
        waiting_.pop_front();
        if (next.bytes.empty() && next.fds.empty()) { // not to be told from the end
            return ZBQ_ERROR_NOENT;
        }
        zbq::core::side_record record = {};
        if (next.bytes.size() != sizeof record) {
            return ZBQ_ERROR_PROTOCOL;
        }
        std::memcpy(&record, next.bytes.data(), sizeof record);
        if (next.fds.empty() || record.fd_count != next.fds.size() || record.seq_id <= newest_) {
            return ZBQ_ERROR_PROTOCOL;
        }
        newest_ = held_seq_ = record.seq_id;
        held_ = next.fds;
        return ZBQ_OK;
    }

    std::deque<packet> waiting_;
    std::vector<int> held_;
    std::uint64_t held_seq_ = 0;
    std::uint64_t newest_;
    bool closed_ = false;
};

class to_consumer {
public:
    explicit to_consumer(FuzzedDataProvider &input) : input_(input), model_(floor()) {
        pretender_.payload.seq_floor = floor();
        consumer_ = pretender_.join();
        MUST(consumer_ != nullptr);
        side_ = pretender_.take_side();
    }

    void run() {
        for (int i = 0; i < 64 && input_.remaining_bytes() != 0; ++i) {
            step();
        }
        collect();
    }

private:
    static std::uint64_t floor() { return 3; }

    void step() {
        switch (input_.ConsumeIntegralInRange(0, 8)) {
        case 0:
        case 1:
        case 2:
            send_record();
            break;
        case 3:
        case 4:
        case 5:
            collect();
            break;
        case 6:
            ring();
            break;
        case 7:
            look();
            break;
        default:
            hang_up();
            break;
        }
    }

    std::uint64_t some_id() {
        constexpr std::uint64_t ids[] = {0, 1, 2, UINT64_MAX - 1, UINT64_MAX};
        next_id_ += input_.ConsumeIntegralInRange<std::uint64_t>(0, 2);
        return input_.ConsumeIntegralInRange(0, 7) == 7 ? fuzz::one_of(input_, ids) : next_id_;
    }

    void send_record() {
        constexpr unsigned counts[] = {1, 2, 3, 0, 252, 253};
        const std::uint64_t id = some_id();
        const unsigned count = fuzz::one_of(input_, counts);
        const packet what = {bytes_of(input_, zbq::core::side_record{id, count, 0}),
                             some_descriptors(input_, count)};
        if (side_ && send(side_.get(), what)) {
            model_.sent(what);
        }
    }

    void ring() {
        const packet what = {bytes_of(input_, zbq::core::side_record{}),
                             some_descriptors(input_, 2)};
        const bool sent = send(pretender_.event().get(), what);
        ended_ |= sent && what.bytes.empty(); // not to be told from the end
    }

    void collect() {
        const std::uint64_t wanted = some_id();
        std::array<int, ZBQ_MAX_FD_PER_MSG> fds = {};
        std::uint8_t count = 99;
        const int result = zbq_consumer_recv_fds(consumer_.get(), wanted, fds.data(), &count);
        std::vector<int> expected;
        const int right = model_.expect(wanted, &expected);
        // The end is on the event socket: it may not have looked there yet.
        MUST(result == right || (ended_ && right == ZBQ_ERROR_AGAIN && result == ZBQ_ERROR_NOENT));
        MUST(count == expected.size());
        for (std::size_t i = 0; i < count; ++i) {
            const unique_fd got(fds[i]);
            MUST((fcntl(got.get(), F_GETFD) & FD_CLOEXEC) != 0);
            MUST(id_of(got.get()) == id_of(expected[i]));
        }
    }

    // Looks for messages, of which there are none, take bells off the event socket.
    void look() {
        zbq_msg_view view = {};
        MUST(zbq_consumer_event_fd(consumer_.get()) >= 0);
        const int result = zbq_consumer_peek(consumer_.get(), &view);
        MUST(result == ZBQ_ERROR_AGAIN || result == ZBQ_ERROR_NOENT);
    }

    void hang_up() {
        if (input_.ConsumeBool()) {
            pretender_.event().reset();
            ended_ = true;
        } else {
            side_.reset();
            model_.closed();
        }
    }

    FuzzedDataProvider &input_;
    reference model_;
    bool ended_ = false;
    test::pretender pretender_;
    unique_fd side_;
    test::consumer_ptr consumer_;
    std::uint64_t next_id_ = floor();
};

// ---- to a producer ----

class to_producer {
public:
    explicit to_producer(FuzzedDataProvider &input) : input_(input) {
        const test::socket_pair sockets = test::make_sockets();
        MUST(zbq_producer_handshake(producer_.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH,
                                    &slot_) == ZBQ_OK);
        zbq_join_payload payload = {};
        zbq::core::ancillary with;
        MUST(zbq::core::receive_record(sockets.consumer_end.get(), &payload, sizeof payload, 0,
                                       &with) == sizeof payload);
        MUST(with.fds.size() == 6);
        page_ = with.fds.take(2);
        side_ = with.fds.take(3);
        event_ = with.fds.take(5);
        if (input_.ConsumeBool()) {
            MUST(zbq_producer_event_fd(producer_.get()) >= 0);
            watches_ = true;
        }
        MUST(test::publish(producer_.get(), std::string(page - sizeof(zbq_msg_header), '.')));
        MUST(!test::publish(producer_.get(), "")); // full: asks this consumer to ring
    }

    void run() {
        for (int i = 0; i < 64 && input_.remaining_bytes() != 0; ++i) {
            step();
        }
        scan();
        event_.reset();
        scan();
        MUST(zbq_producer_consumer_info(producer_.get(), slot_, &info_) == ZBQ_ERROR_NOENT);
    }

private:
    void step() {
        switch (input_.ConsumeIntegralInRange(0, 5)) {
        case 0:
            announce();
            break;
        case 1:
            ring();
            break;
        case 2:
            set_tail();
            break;
        case 3:
            side_.reset();
            break;
        case 4:
            event_.reset();
            break;
        default:
            scan();
            break;
        }
    }

    void announce() {
        const packet what = {
            bytes_of(input_, zbq::core::announcement{zbq::core::announcement_magic, 0, 0}),
            some_descriptors(input_, input_.ConsumeIntegralInRange(0U, 3U))};
        if (side_ && send(side_.get(), what)) {
            announcements_.push_back(what.bytes);
        }
    }

    // A scan reads one packet, until one was not empty.
    void expect_announcement() {
        if (announced_ || announcements_.empty()) {
            return;
        }
        const std::vector<char> bytes = announcements_.front();
        announcements_.pop_front();
        announced_ = true;
        std::uint32_t magic = 0;
        std::copy_n(bytes.begin(), std::min(bytes.size(), sizeof magic),
                    reinterpret_cast<char *>(&magic));
        known_ = magic == zbq::core::announcement_magic;
    }

    void ring() {
        const packet what = {bytes_of(input_, zbq::core::announcement{}),
                             some_descriptors(input_, input_.ConsumeIntegralInRange(0U, 3U))};
        if (event_ && send(event_.get(), what)) {
            broken_ |= what.bytes.empty(); // not to be told from the end
        }
    }

    void set_tail() {
        const std::uint64_t tails[] = {0, 16, 4096, head_, head_ + 16, 8, UINT64_MAX - 15};
        const std::uint64_t tail = fuzz::one_of(input_, tails);
        MUST(pwrite(page_.get(), &tail, sizeof tail, 0) == sizeof tail);
        cheated_ |= tail % 16 != 0 || tail > head_ || tail < seen_;
        latest_ = tail;
    }

    void scan() {
        expect_announcement();
        MUST(zbq_producer_scan(producer_.get()) == ZBQ_OK);
        const int result = zbq_producer_consumer_info(producer_.get(), slot_, &info_);
        MUST(result == ZBQ_OK || result == ZBQ_ERROR_NOENT);
        if (result == ZBQ_OK && !gone_) {
            seen_ = latest_;
            MUST(info_.lag == head_ - seen_);
            MUST(event_);
            MUST(info_.pid == (known_ ? getpid() : 0));
        } else {
            check_reason();
        }
    }

    void check_reason() {
        gone_ = true;
        switch (info_.eviction) {
        case ZBQ_EVICTION_DEAD:
            MUST(!event_ || (watches_ && broken_));
            break;
        case ZBQ_EVICTION_PROTOCOL:
            MUST(cheated_);
            break;
        default:
            MUST(false);
        }
    }

    FuzzedDataProvider &input_;
    test::producer_ptr producer_ = test::make_producer({.capacity = page, .max_consumers = 1});
    std::uint32_t slot_ = 0;
    unique_fd page_;
    unique_fd side_;
    unique_fd event_;
    std::uint64_t head_ = page;
    std::uint64_t seen_ = 0;   // the tail that the producer last saw
    std::uint64_t latest_ = 0; // and the one in the page
    bool watches_ = false;
    std::deque<std::vector<char>> announcements_; // not read yet
    bool announced_ = false;
    bool known_ = false;
    bool cheated_ = false;
    bool broken_ = false;
    bool gone_ = false;
    zbq_consumer_info info_ = {};
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    static_cast<void>(menu());
    const fuzz::balance balance;
    FuzzedDataProvider input(data, size);
    if (input.ConsumeBool()) {
        to_producer(input).run();
    } else {
        to_consumer(input).run();
    }
    return 0;
}
