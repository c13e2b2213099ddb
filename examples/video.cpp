// SPDX-License-Identifier: MIT
//
// Video: a source paints frames into memfds, as a camera fills dma-bufs, and passes each as a
// descriptor with a small message. Three readers map every frame and check every pixel; one of
// them is slow, and the source waits for it.
//
//   example_video
#include "child.hpp"

#include <zbq.hpp>

#include <cstdio>
#include <fcntl.h>
#include <span>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
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
constexpr std::uint32_t frames = 200;
constexpr int readers = 3;

constexpr std::uint32_t pixel(std::uint32_t frame, std::uint32_t x, std::uint32_t y) {
    return (x + frame) * 2654435761U ^ y * 40503U ^ frame;
}

// A mapping of a whole frame.
class pixels {
public:
    pixels(int fd, int protection)
        : base_(mmap(nullptr, frame_size, protection, MAP_SHARED, fd, 0)) {}
    pixels(const pixels &) = delete;
    pixels &operator=(const pixels &) = delete;
    pixels(pixels &&) = delete;
    pixels &operator=(pixels &&) = delete;
    ~pixels() {
        if (base_ != MAP_FAILED) {
            munmap(base_, frame_size);
        }
    }
    explicit operator bool() const { return base_ != MAP_FAILED; }
    [[nodiscard]] std::uint32_t &at(std::uint32_t x, std::uint32_t y) const {
        return static_cast<std::uint32_t *>(base_)[std::size_t{y} * format.width + x];
    }

private:
    void *base_;
};

// ---- the source ----

// Sealed when it is painted: nobody can change, shrink or grow it any more.
zbq::unique_fd make_frame(std::uint32_t number) {
    zbq::unique_fd memory(memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    require(memory && ftruncate(memory.get(), frame_size) == 0, "a frame's memory");
    {
        const pixels picture(memory.get(), PROT_READ | PROT_WRITE);
        require(static_cast<bool>(picture), "mapping a frame");
        for (std::uint32_t y = 0; y < format.height; ++y) {
            for (std::uint32_t x = 0; x < format.width; ++x) {
                picture.at(x, y) = pixel(number, x, y);
            }
        }
    }
    require(fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0,
            "sealing a frame");
    return memory;
}

bool publish_all(zbq::producer &ring) {
    for (std::uint32_t number = 0; number < frames; ++number) {
        const zbq::unique_fd memory = make_frame(number);
        frame_info info = format;
        info.number = number;
        const int fd = memory.get();
        if (ring.publish(std::as_bytes(std::span(&info, 1)), std::span(&fd, 1), zbq::never) !=
            zbq::status::ok) {
            return false;
        }
    } // ours is closed; the readers have theirs
    return true;
}

// ---- a reader ----

bool is_sealed_frame(int fd) {
    struct stat status = {};
    const int seals = fcntl(fd, F_GET_SEALS);
    const int wanted = F_SEAL_WRITE | F_SEAL_SHRINK;
    return seals >= 0 && (seals & wanted) == wanted && fstat(fd, &status) == 0 &&
           static_cast<std::size_t>(status.st_size) == frame_size;
}

bool is_right(int fd, std::uint32_t number) {
    if (!is_sealed_frame(fd)) {
        return false;
    }
    const pixels picture(fd, PROT_READ);
    bool right = static_cast<bool>(picture);
    for (std::uint32_t y = 0; right && y < format.height; ++y) {
        for (std::uint32_t x = 0; x < format.width; ++x) {
            right = right && picture.at(x, y) == pixel(number, x, y);
        }
    }
    return right;
}

// Whether a message is the frame of this number.
bool check(zbq::message &message, std::uint32_t number) {
    frame_info info = {};
    if (message.payload().size() != sizeof info) {
        return false;
    }
    std::memcpy(&info, message.payload().data(), sizeof info);
    const zbq::descriptors memory = message.take_descriptors(zbq::never);
    const bool whole = message.intact();
    message.release(); // the ring's room; the frame's memory is ours as long as we like
    return whole && info.number == number && info.width == format.width &&
           info.height == format.height && memory.size() == 1 && is_right(memory[0], number);
}

int read_all(int socket, std::chrono::milliseconds slowness) {
    zbq::consumer reader(socket);
    std::uint32_t number = 0;
    while (reader.wait(zbq::never) == zbq::status::ok) {
        zbq::message message = reader.try_next();
        if (!check(message, number)) {
            std::printf("frame %u is wrong\n", number);
            return 1;
        }
        ++number;
        std::this_thread::sleep_for(slowness);
    }
    std::printf("reader %d: %u frames of %ux%u, every pixel right%s\n", getpid(), number,
                format.width, format.height, slowness.count() != 0 ? " (slow)" : "");
    return number == frames && reader.ending() == zbq::ending::closed ? 0 : 1;
}

int run() {
    std::vector<child> children;
    children.reserve(readers);
    for (int i = 0; i < readers; ++i) {
        const std::chrono::milliseconds slowness(i == 0 ? 3 : 0);
        children.emplace_back([&](int socket) { return read_all(socket, slowness); });
    }
    bool right = false;
    {
        zbq::producer_options options;
        options.stall_timeout = std::chrono::seconds(60); // of a machine that may be busy
        zbq::producer ring(options);
        for (const child &reader : children) {
            ring.admit(reader.socket());
        }
        right = publish_all(ring);
    } // the end of the stream
    for (const child &reader : children) {
        right = reader.wait() == 0 && right;
    }
    return right ? 0 : 1;
}

} // namespace

int main() {
    try {
        return run();
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
}
