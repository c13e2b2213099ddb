// SPDX-License-Identifier: MIT
//
// The join message, as a hostile producer may send it: any bytes, any descriptors, from any kind
// of socket. A consumer must believe what is right, and nothing else.
#include "consumer.hpp"
#include "harness.hpp"
#include "support/pretender.hpp"

#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <vector>

namespace {

using test::page;
using test::unique_fd;

// What a descriptor can be believed to be.
enum role : unsigned { control, ring, metadata, side, pidfd, event, retained, roles };

constexpr unsigned bit(role what) {
    return 1U << what;
}

constexpr unsigned any_channel = bit(side) | bit(event);

struct item {
    int fd;
    unsigned fits;          // roles
    std::uint64_t capacity; // of a ring
};

// Both are kept from input to input: a join only reads and maps them.
struct world {
    test::pretender small{page};
    test::pretender large{3 * page};
    std::vector<unique_fd> owned;
    std::vector<item> menu;

    world() {
        for (const test::pretender *from : {&small, &large}) {
            const std::uint64_t capacity = from->payload.ring_capacity;
            menu.push_back({from->fds[control], bit(control), capacity});
            menu.push_back({from->fds[ring], bit(ring) | bit(retained), capacity});
            menu.push_back({from->fds[metadata], bit(metadata), 0});
            menu.push_back({from->fds[side], any_channel, 0});
            menu.push_back({from->fds[pidfd], bit(pidfd), 0});
            menu.push_back({from->fds[event], any_channel, 0});
            add(open_again(from->fds[control], O_RDONLY), bit(control), capacity);
            add(open_again(from->fds[ring], O_RDONLY), bit(ring) | bit(retained), capacity);
            add(open_again(from->fds[metadata], O_RDONLY), 0);
            add(open_again(from->fds[ring], O_PATH), 0);
        }
        constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
        constexpr int read_only = seals | F_SEAL_FUTURE_WRITE;
        for (const off_t size : {off_t{0}, off_t{256}, off_t{4096}, off_t{8192}}) {
            add(memory(size, size, 0), 0);
            add(memory(size, size, F_SEAL_SHRINK), 0);
            add(memory(size, size, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE), 0);
            add(memory(size, 0, read_only), 0);
            add(memory(size, 0, seals), 0);
            // All that is asked of a ring or what is retained, and of a consumer's page.
            add(memory(size, size, read_only), size >= 4096 ? bit(ring) | bit(retained) : 0U,
                static_cast<std::uint64_t>(size));
            add(memory(size, size, seals), size == 4096 ? bit(metadata) : 0U);
            add(memory(size, size, seals | F_SEAL_WRITE), 0);
        }
        add(allocated_alone(4096, read_only), 0);
        add(allocated_alone(4096, seals), 0);
        add(huge(), 0);
        add_sockets();
        add_others();
    }

    static unique_fd open_again(int fd, int flags) {
        return unique_fd(open(("/proc/self/fd/" + std::to_string(fd)).c_str(), flags | O_CLOEXEC));
    }

    // Memory that is there has been written to, as the protocol wants it: else it is a hole.
    static unique_fd memory(off_t size, off_t written, int seals) {
        unique_fd fd = file_of(size);
        const std::vector<char> zeros(static_cast<std::size_t>(written));
        MUST(pwrite(fd.get(), zeros.data(), zeros.size(), 0) == written);
        MUST(fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
        return fd;
    }

    static unique_fd allocated_alone(off_t size, int seals) {
        unique_fd fd = file_of(size);
        MUST(fallocate(fd.get(), 0, 0, size) == 0);
        MUST(fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
        return fd;
    }

    static unique_fd file_of(off_t size) {
        unique_fd fd(memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING));
        MUST(ftruncate(fd.get(), size) == 0);
        return fd;
    }

    static unique_fd huge() { // there may be none
        return unique_fd(memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB));
    }

    void add_sockets() {
        for (const int type : {SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM}) {
            test::socket_pair pair = test::make_sockets(type);
            const unsigned fits = type == SOCK_SEQPACKET ? any_channel : 0;
            add(std::move(pair.producer_end), fits);
            add(std::move(pair.consumer_end), fits);
            add(unique_fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0)), fits);
        }
        test::socket_pair broken = test::make_sockets();
        add(std::move(broken.consumer_end), any_channel);
        add(unique_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), 0);
        add(unique_fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0)), 0);
    }

    void add_others() {
        int ends[2] = {-1, -1};
        MUST(pipe2(ends, O_CLOEXEC) == 0);
        add(unique_fd(ends[0]), 0);
        add(unique_fd(ends[1]), 0);
        add(unique_fd(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), 0);
        // The kernel takes it where it takes a pidfd (pidfd_send_signal(2)).
        add(unique_fd(open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), bit(pidfd));
        add(unique_fd(open("/dev/null", O_RDWR | O_CLOEXEC)), 0);
        add(unique_fd(open("/dev/zero", O_RDWR | O_CLOEXEC)), 0);
        add(unique_fd(open("/proc/self/maps", O_RDONLY | O_CLOEXEC)), 0);
        add(unique_fd(eventfd(0, EFD_CLOEXEC)), 0);
        add(unique_fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)), 0);
        add(unique_fd(epoll_create1(EPOLL_CLOEXEC)), 0);
    }

    void add(unique_fd fd, unsigned fits, std::uint64_t capacity = 0) {
        if (fd) {
            menu.push_back({fd.get(), fits, capacity});
            owned.push_back(std::move(fd));
        }
    }
};

world &the_world() {
    static world made;
    return made;
}

struct message {
    zbq_join_payload payload = {};
    std::vector<char> bytes;
    std::vector<item> items;

    [[nodiscard]] std::vector<int> fds() const {
        std::vector<int> numbers;
        for (const item &one : items) {
            numbers.push_back(one.fd);
        }
        return numbers;
    }
};

// Its place in the menu. The ring can be what is retained as well.
std::size_t right_for(unsigned place) {
    return place % roles != retained ? place % roles : std::size_t{ring};
}

message make_message(FuzzedDataProvider &input, world &all) {
    message made;
    // Zeros change nothing: an input that ends early leaves the rest right.
    const auto changes = input.ConsumeBytes<char>(sizeof made.payload);
    const bool large = input.ConsumeBool();
    const test::pretender &from = large ? all.large : all.small;
    char payload[sizeof made.payload];
    std::memcpy(payload, &from.payload, sizeof payload);
    for (std::size_t i = 0; i < changes.size(); ++i) {
        payload[i] = static_cast<char>(payload[i] ^ changes[i]);
    }
    std::memcpy(&made.payload, payload, sizeof payload);

    constexpr std::size_t sizes[] = {64, 0, 1, 16, 63, 65, 128, 4096};
    made.bytes.assign(std::begin(payload), std::end(payload));
    made.bytes.resize(fuzz::one_of(input, sizes));

    constexpr unsigned counts[] = {6, 0, 1, 5, 7, 8, 253};
    const unsigned count = fuzz::one_of(input, counts);
    for (unsigned i = 0; i < count; ++i) {
        const auto choice = input.ConsumeIntegralInRange<std::size_t>(0, all.menu.size());
        const std::size_t right = right_for(i) + (large ? 10 : 0);
        made.items.push_back(all.menu[choice == 0 ? right : choice - 1]);
    }
    return made;
}

bool is_right(const message &sent, int type, int mode) {
    const zbq_join_payload &payload = sent.payload;
    const bool whole = type == SOCK_STREAM ? sent.bytes.size() >= sizeof payload
                                           : sent.bytes.size() == sizeof payload;
    const std::size_t count = sent.items.size();
    if (mode < ZBQ_WAKEUP_PUSH || mode > ZBQ_OBSERVE_PULL || !whole ||
        (count != retained && count != roles) || // with what is retained, or without
        payload.protocol_version != ZBQ_PROTOCOL_VERSION ||
        payload.wakeup_mode != static_cast<std::uint32_t>(mode) || payload.initial_head % 16 != 0) {
        return false;
    }
    for (unsigned i = 0; i < count; ++i) {
        if ((sent.items[i].fits & (1U << i)) == 0) {
            return false;
        }
    }
    return sent.items[ring].capacity == payload.ring_capacity &&
           sent.items[control].capacity == payload.ring_capacity;
}

// All that the consumer now believes to have.
void touch_all(const zbq_consumer *cons) {
    fuzz::touch(cons->control(), sizeof *cons->control());
    fuzz::touch(cons->window.ring, 2 * cons->window.capacity);
    fuzz::touch(cons->page(), sizeof *cons->page());
    fuzz::touch(cons->retained.get(), cons->retained.size());
    zbq_msg_view view = {};
    for (std::uint32_t i = 0; zbq_consumer_retained(cons, i, &view) == ZBQ_OK; ++i) {
        MUST(i < zbq::core::most_retained);
        fuzz::touch(view.payload, view.payload_len);
    }
}

void use(FuzzedDataProvider &input, zbq_consumer *cons) {
    touch_all(cons);
    zbq_msg_view view = {};
    const int result = zbq_consumer_peek(cons, &view);
    if (result == ZBQ_OK) {
        fuzz::touch(view.payload, view.payload_len);
        zbq_consumer_publish(cons, view.logical_offset + view.total_len);
        MUST(zbq_consumer_tail(cons) >= view.logical_offset + view.total_len);
    }
    int fds[ZBQ_MAX_FD_PER_MSG];
    std::uint8_t count = 0;
    MUST(zbq_consumer_recv_fds(cons, 1, fds, &count) != ZBQ_OK);
    zbq_consumer_wait(cons, zbq_consumer_get_futex_token(cons), 0);
    zbq_consumer_is_producer_alive(cons);
    zbq_consumer_ending(cons, nullptr);
    if (input.ConsumeBool()) {
        zbq_consumer_event_fd(cons);
        zbq_consumer_next(cons, &view);
    }
}

void send(FuzzedDataProvider &input, const message &what, int socket) {
    const std::vector<int> fds = what.fds();
    zbq::core::send_record(socket, what.bytes.data(), what.bytes.size(), fds.data(),
                           static_cast<unsigned>(fds.size()));
    if (input.ConsumeBool()) { // behind it
        const std::vector<char> more = input.ConsumeRemainingBytes<char>();
        zbq::core::send_record(socket, more.data(), more.size(), fds.data(), fds.empty() ? 0 : 1);
    }
}

void run(FuzzedDataProvider &input, world &all) {
    fuzz::make_as_new(&all.small);
    fuzz::make_as_new(&all.large);
    constexpr int types[] = {SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM};
    const int type = fuzz::one_of(input, types);
    constexpr int modes[] = {ZBQ_WAKEUP_PUSH,  ZBQ_WAKEUP_PULL, 4, -1,
                             ZBQ_OBSERVE_PUSH, ZBQ_OBSERVE_PULL};
    const int mode = fuzz::one_of(input, modes);
    const message what = make_message(input, all);
    for (const test::pretender *from : {&all.small, &all.large}) {
        constexpr std::uint64_t further[] = {0, 16, 32, page, 8, 2 * page, UINT64_MAX - 15};
        from->set_head(what.payload.initial_head + fuzz::one_of(input, further));
        from->put_message(what.payload.initial_head, input.ConsumeIntegral<std::uint32_t>());
    }

    test::socket_pair sockets = test::make_sockets(type | SOCK_NONBLOCK);
    send(input, what, sockets.producer_end.get());
    sockets.producer_end.reset();

    zbq_consumer *cons = nullptr;
    const int result =
        zbq_consumer_join(sockets.consumer_end.get(), static_cast<zbq_wakeup_mode>(mode), &cons);
    MUST((cons != nullptr) == (result == ZBQ_OK));
    MUST((result == ZBQ_OK) == is_right(what, type, mode));
    if (cons != nullptr) {
        use(input, cons);
        zbq_consumer_destroy(cons);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    world &all = the_world();
    const fuzz::balance balance;
    FuzzedDataProvider input(data, size);
    run(input, all);
    return 0;
}
