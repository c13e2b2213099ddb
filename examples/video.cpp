// SPDX-License-Identifier: MIT
//
// Video: a source paints frames into a pool of buffers, as a camera fills dma-bufs, and sends each
// by naming its buffer. Readers look at them in place and check every pixel: one that keeps up, one
// that is killed in the midst of a frame, one that is stopped in another, and loses its slot, but
// finds the frame that it holds as it was; and one that only wants the newest frame.
//
//   example_video
#include "child.hpp"

#include <zbq.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <span>
#include <unistd.h>
#include <vector>

namespace {

struct frame_info {
    std::uint32_t number;
    std::uint32_t width;
    std::uint32_t height;
    std::uint32_t stride; // bytes from line to line
};

constexpr frame_info format = {0, 640, 360, 640 * sizeof(std::uint32_t)};
constexpr std::size_t frame_size = std::size_t{format.stride} * format.height;
constexpr std::uint32_t frames = 1000;
constexpr std::uint32_t killed_at = 100;
constexpr std::uint32_t stopped_at = 200;

constexpr std::uint32_t pixel(std::uint32_t frame, std::uint32_t x, std::uint32_t y) {
    return (x + frame) * 2654435761U ^ y * 40503U ^ frame;
}

// ---- the source ----

void paint(std::span<std::byte> frame, std::uint32_t number) {
    auto *to = reinterpret_cast<std::uint32_t *>(frame.data());
    for (std::uint32_t y = 0; y < format.height; ++y) {
        for (std::uint32_t x = 0; x < format.width; ++x) {
            *to++ = pixel(number, x, y);
        }
    }
}

bool publish_all(zbq::producer &ring, zbq::frame_pool &pool) {
    const zbq::deadline start = zbq::clock::now();
    for (std::uint32_t number = 0; number < frames; ++number) {
        zbq::frame next = pool.acquire(zbq::never);
        if (!next) {
            return false;
        }
        paint(next.bytes(), number);
        frame_info info = format;
        info.number = number;
        if (next.publish(frame_size, zbq::never, std::as_bytes(std::span(&info, 1))) !=
            zbq::status::ok) {
            return false;
        }
    }
    const std::chrono::duration<double> took = zbq::clock::now() - start;
    std::printf("source: %u frames, %.0f a second; %llu readers lost, %llu buffers replaced\n",
                frames, frames / took.count(),
                static_cast<unsigned long long>(ring.statistics().evicted[0]),
                static_cast<unsigned long long>(pool.replaced()));
    return ring.statistics().evicted[ZBQ_EVICTION_STALLED] == 1 && pool.replaced() != 0;
}

// ---- readers ----

// Which frame it is; frames, where it is none, or a pixel of it is wrong.
std::uint32_t check(const zbq::received_frame &got) {
    frame_info info = {};
    if (got.beside().size() != sizeof info || got.bytes().size() != frame_size) {
        return frames;
    }
    std::memcpy(&info, got.beside().data(), sizeof info);
    const auto *from = reinterpret_cast<const std::uint32_t *>(got.bytes().data());
    std::uint32_t wrong = info.width ^ format.width;
    for (std::uint32_t y = 0; y < format.height; ++y) {
        for (std::uint32_t x = 0; x < format.width; ++x) {
            wrong |= *from++ ^ pixel(info.number, x, y);
        }
    }
    return wrong == 0 ? info.number : frames;
}

void say(const char *who, std::uint32_t seen, const char *more) {
    std::printf("%s: %u frames, every pixel right%s\n", who, seen, more);
    std::fflush(stdout);
}

// Every frame in its order, until it kills or stops itself at one.
int read_all(int socket, std::uint32_t killed, std::uint32_t stopped) {
    zbq::frames reader{zbq::consumer(socket)};
    std::uint32_t number = 0;
    while (reader.wait(zbq::never) == zbq::status::ok) {
        const zbq::received_frame got = reader.try_next();
        if (!got && got.why() != zbq::status::protocol) {
            continue; // a new buffer came, and no frame yet; or this reader was evicted
        }
        if (number == killed) {
            raise(SIGKILL);
        }
        if (number == stopped) {
            raise(SIGSTOP);
        }
        if (check(got) != number || !got.intact()) {
            std::printf("frame %u is wrong\n", number);
            return 1;
        }
        ++number;
    }
    const bool evicted = reader.reader().ending() == zbq::ending::evicted;
    say("reader", number, evicted ? ", then lost its slot, as it was stopped" : "");
    return (evicted ? number == stopped + 1 : number == frames) ? 0 : 1;
}

// Of what there is, the last.
zbq::received_frame newest_of(zbq::frames *reader) {
    zbq::received_frame last;
    while (zbq::received_frame next = reader->try_next()) {
        last = std::move(next);
    }
    return last;
}

// Whatever is newest when it looks; what is painted over meanwhile does not count.
int read_newest(int socket) {
    zbq::frames reader{zbq::consumer(socket, zbq::wakeup::push, zbq::flow::follow)};
    std::uint32_t seen = 0;
    std::uint32_t last = 0;
    while (reader.wait(zbq::never) == zbq::status::ok) {
        const zbq::received_frame got = newest_of(&reader);
        const std::uint32_t number = got ? check(got) : frames;
        if (!got.intact()) {
            continue;
        }
        if (number == frames || number < last) {
            std::printf("a frame after %u is wrong\n", last);
            return 1;
        }
        last = number;
        ++seen;
    }
    say("newest", seen, "");
    return seen != 0 && last == frames - 1 ? 0 : 1;
}

int run() {
    const child steady([](int socket) { return read_all(socket, frames, frames); });
    const child victim([](int socket) { return read_all(socket, killed_at, frames); });
    const child hung([](int socket) { return read_all(socket, frames, stopped_at); });
    const child newest([](int socket) { return read_newest(socket); });
    bool right = false;
    {
        zbq::producer_options options;
        options.stall_timeout = std::chrono::seconds(3);
        zbq::producer ring(options);
        zbq::frame_pool pool(ring, {.frames = 8, .frame_size = frame_size}, zbq::never);
        for (const child *reader : {&steady, &victim, &hung}) {
            ring.admit(reader->socket());
        }
        ring.admit(newest.socket(), zbq::wakeup::push, zbq::flow::follow);
        right = publish_all(ring, pool);
        hung.signal(SIGCONT);
        right = hung.wait() == 0 && right;
    } // the end of the stream
    right = steady.wait() == 0 && right;
    right = victim.wait() == SIGKILL && right;
    right = newest.wait() == 0 && right;
    return right ? 0 : 1;
}

} // namespace

int main() {
    return guarded(run);
}
