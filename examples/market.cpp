// SPDX-License-Identifier: MIT
//
// Market data: a feed in the manner of NASDAQ's ITCH (binary, big-endian, messages of several
// sizes, many to a packet) is replayed to three processes. Each builds the order book of every
// symbol for itself; so does the source. In the end all books must be the same.
//
//   example_market
//
// With a name it publishes there, to the first who joins, and is done:
//
//   example_market feed
//   python3 examples/python/bars.py feed   # in another shell
#include "child.hpp"

#include <zbq.hpp>

#include <array>
#include <cstdio>
#include <map>
#include <random>
#include <span>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace {

// ---- the messages: a letter, then fields without padding, the highest byte first ----
//
//   A add      order 8  side 1  shares 4  symbol 2  price 4
//   E execute  order 8  shares 4
//   D delete   order 8
//   U replace  order 8  new order 8  shares 4  price 4

class writer {
public:
    explicit writer(char type) { bytes_.push_back(static_cast<std::byte>(type)); }
    writer &put(std::uint64_t value, unsigned size) {
        for (unsigned i = size; i-- > 0;) {
            bytes_.push_back(static_cast<std::byte>(value >> (8 * i) & 0xffU));
        }
        return *this;
    }
    [[nodiscard]] const std::vector<std::byte> &bytes() const { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

// Reads no further than the message goes; what is missing reads as 0 and is told.
class reader {
public:
    explicit reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::uint64_t get(unsigned size) {
        complete_ = complete_ && bytes_.size() >= size;
        std::uint64_t value = 0;
        for (unsigned i = 0; complete_ && i < size; ++i) {
            value = value << 8U | static_cast<std::uint64_t>(bytes_[i]);
        }
        bytes_ = complete_ ? bytes_.subspan(size) : bytes_;
        return value;
    }
    [[nodiscard]] bool is_whole() const { return complete_ && bytes_.empty(); }

private:
    std::span<const std::byte> bytes_;
    bool complete_ = true;
};

// ---- the book ----

class books {
public:
    // False for a message that is none.
    bool apply(std::span<const std::byte> message) {
        reader fields(message);
        switch (static_cast<char>(fields.get(1))) {
        case 'A':
            return add(fields);
        case 'E':
            return execute(fields);
        case 'D':
            return remove(fields);
        case 'U':
            return replace(fields);
        default:
            return false;
        }
    }

    // Of every level of every book, in order.
    [[nodiscard]] std::uint64_t digest() const {
        std::uint64_t value = 0xcbf29ce484222325;
        const auto mix = [&value](std::uint64_t word) {
            value = (value ^ word) * 0x100000001b3;
            value ^= value >> 29U;
        };
        for (const auto &[at, shares] : levels_) {
            mix(at.symbol);
            mix(at.side);
            mix(at.price);
            mix(shares);
        }
        return value;
    }
    [[nodiscard]] std::size_t levels() const { return levels_.size(); }

private:
    struct level {
        std::uint64_t symbol;
        std::uint64_t side;
        std::uint64_t price;
        auto operator<=>(const level &) const = default;
    };
    struct order {
        level at;
        std::uint64_t shares;
    };

    bool add(reader &fields) {
        const std::uint64_t id = fields.get(8);
        const std::uint64_t side = fields.get(1);
        const std::uint64_t shares = fields.get(4);
        const std::uint64_t symbol = fields.get(2);
        const std::uint64_t price = fields.get(4);
        return fields.is_whole() && insert(id, {{symbol, side, price}, shares});
    }
    bool execute(reader &fields) {
        const std::uint64_t id = fields.get(8);
        const std::uint64_t shares = fields.get(4);
        return fields.is_whole() && take(id, shares);
    }
    bool remove(reader &fields) {
        const std::uint64_t id = fields.get(8);
        return fields.is_whole() && take(id, UINT64_MAX);
    }
    bool replace(reader &fields) {
        const auto old = orders_.find(fields.get(8));
        const std::uint64_t id = fields.get(8);
        const std::uint64_t shares = fields.get(4);
        const std::uint64_t price = fields.get(4);
        if (!fields.is_whole() || old == orders_.end()) {
            return false;
        }
        const level at = {old->second.at.symbol, old->second.at.side, price};
        return take(old->first, UINT64_MAX) && insert(id, {at, shares});
    }

    bool insert(std::uint64_t id, const order &fresh) {
        levels_[fresh.at] += fresh.shares;
        return orders_.emplace(id, fresh).second;
    }
    bool take(std::uint64_t id, std::uint64_t shares) {
        const auto found = orders_.find(id);
        if (found == orders_.end()) {
            return false;
        }
        order &left = found->second;
        const std::uint64_t taken = std::min(shares, left.shares);
        const auto where = levels_.find(left.at);
        where->second -= taken;
        if (where->second == 0) {
            levels_.erase(where);
        }
        left.shares -= taken;
        if (left.shares == 0) {
            orders_.erase(found);
        }
        return true;
    }

    std::map<level, std::uint64_t> levels_;
    std::unordered_map<std::uint64_t, order> orders_;
};

// ---- the feed ----

class feed {
public:
    writer next() {
        const std::uint64_t kind = random_() % 10;
        if (live_.size() < 1000 || kind < 4) {
            return add();
        }
        const std::size_t pick = random_() % live_.size();
        const std::uint64_t id = live_[pick];
        if (kind < 6) {
            // One share: orders have two at least, and are executed once.
            live_[pick] = live_.back();
            live_.pop_back();
            return writer('E').put(id, 8).put(1, 4);
        }
        if (kind < 8) {
            live_[pick] = ++last_id_;
            return writer('U').put(id, 8).put(last_id_, 8).put(shares(), 4).put(price(), 4);
        }
        live_[pick] = live_.back();
        live_.pop_back();
        return writer('D').put(id, 8);
    }

private:
    writer add() {
        live_.push_back(++last_id_);
        return writer('A')
            .put(last_id_, 8)
            .put(random_() % 2 == 0 ? 'B' : 'S', 1)
            .put(shares(), 4)
            .put(random_() % 64, 2)
            .put(price(), 4);
    }
    std::uint64_t shares() { return 2 + random_() % 998; }
    std::uint64_t price() { return 100'0000 + random_() % 500 * 100; }

    std::minstd_rand random_{1};
    std::uint64_t last_id_ = 0;
    std::vector<std::uint64_t> live_;
};

constexpr std::size_t messages = 500'000;
constexpr std::uint64_t packet = 1400; // as much as goes into one commit

// Room for a packet, however long it takes.
zbq::batch next_packet(zbq::producer &ring) {
    zbq::batch room = ring.try_batch(packet);
    while (!room && ring.wait_for_room(zbq::never) == zbq::status::ok) {
        room = ring.try_batch(packet);
    }
    return room;
}

// The digest of its own books; 0 when it could not publish.
std::uint64_t replay(zbq::producer &ring) {
    feed source;
    books own;
    zbq::batch room = next_packet(ring);
    for (std::size_t i = 0; i < messages; ++i) {
        const writer message = source.next();
        own.apply(message.bytes());
        std::span<std::byte> place = room.add(message.bytes().size());
        if (place.data() == nullptr) { // the packet is full
            if (room.commit() != zbq::status::ok) {
                return 0;
            }
            room = next_packet(ring);
            place = room.add(message.bytes().size());
        }
        std::copy(message.bytes().begin(), message.bytes().end(), place.begin());
    }
    return room.commit() == zbq::status::ok ? own.digest() : 0;
}

// ---- the readers ----

struct result {
    std::uint64_t messages = 0;
    std::uint64_t digest = 0;
};

// Spins for the next packet before it sleeps, if told to.
result follow(zbq::consumer reader, std::chrono::nanoseconds spin) {
    books own;
    result so_far;
    while (reader.wait(zbq::never, spin) == zbq::status::ok) {
        zbq::message_batch batch = reader.take_batch();
        for (const zbq::message_view &message : batch) {
            if (!own.apply(message.payload())) {
                return {};
            }
            ++so_far.messages;
        }
        if (!batch.intact()) {
            return {};
        }
    }
    so_far.digest = own.digest();
    std::printf("reader %d: %lu messages, %zu price levels, digest %016lx\n", getpid(),
                static_cast<unsigned long>(so_far.messages), own.levels(),
                static_cast<unsigned long>(so_far.digest));
    return so_far;
}

struct reader_process {
    child process; // whose socket is for the join, and then for the result
    zbq::wakeup mode;
};

reader_process start_reader(zbq::wakeup mode, std::chrono::nanoseconds spin) {
    return {child([&](int socket) {
                const result found = follow(zbq::consumer(socket, mode), spin);
                return write(socket, &found, sizeof found) == sizeof found ? 0 : 1;
            }),
            mode};
}

bool agrees(const child &reader, std::uint64_t digest) {
    result found;
    const bool told = read(reader.socket(), &found, sizeof found) == sizeof found;
    return reader.wait() == 0 && told && found.messages == messages && found.digest == digest;
}

int run() {
    using std::chrono::microseconds;
    std::array readers = {start_reader(zbq::wakeup::push, {}),
                          start_reader(zbq::wakeup::push, microseconds(20)),
                          start_reader(zbq::wakeup::pull, microseconds(100))};
    std::uint64_t digest = 0;
    {
        zbq::producer_options options;
        options.stall_timeout = std::chrono::seconds(60); // of a machine that may be busy
        zbq::producer ring(options);
        for (const reader_process &reader : readers) {
            ring.admit(reader.process.socket(), reader.mode);
        }
        digest = replay(ring);
    } // the end of the stream
    std::printf("source: %zu messages, digest %016lx\n", messages,
                static_cast<unsigned long>(digest));
    bool right = digest != 0;
    for (const reader_process &reader : readers) {
        right = agrees(reader.process, digest) && right;
    }
    std::puts(right ? "all books agree" : "the books DIFFER");
    return right ? 0 : 1;
}

int publish_at(const std::string &name) {
    zbq::listener door(name);
    zbq::producer_options options;
    options.stall_timeout = std::chrono::seconds(60);
    zbq::producer ring(options);
    ring.attach(door);
    const auto has_reader = [&ring] { return ring.statistics().consumers != 0; };
    const bool came = ring.serve_until(zbq::never, has_reader) == zbq::status::ok;
    ring.detach(door);
    return came && replay(ring) != 0 ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
    return guarded([&] { return argc == 2 ? publish_at(argv[1]) : run(); });
}
