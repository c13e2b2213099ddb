// SPDX-License-Identifier: MIT
//
// Frames, painted and read: in a pool of buffers that the reader maps once, and as its floor as
// one would without it, each in a memfd of its own whose descriptor comes with the message.
#pragma once

#include "descriptors.hpp"

#include <sys/stat.h>

namespace bench {

// The message beside a frame has the same number.
class frame_stream : public descriptor_stream {
protected:
    frame_stream(std::string name, std::size_t size)
        : descriptor_stream(std::move(name), 1), size_(size) {}

    std::size_t size_;
    std::optional<zbq::producer> producer_;

    void make_producer() { producer_.emplace(zbq::producer_options{.stall_timeout = {}}); }
    void admit() { producer_->admit(ends_.sender.front().get()); }
    zbq::consumer join() { return zbq::consumer(ends_.receiver.front().get()); }

    static void must(zbq::status done) {
        if (done != zbq::status::ok) {
            throw std::runtime_error("publishing a frame failed");
        }
    }
    // The number, where frame and message have it; else no more than whether it is the last.
    [[nodiscard]] std::uint64_t read(std::span<const std::byte> beside,
                                     std::span<const std::byte> frame) const {
        const bool sized = beside.size() == payload_size && frame.size() == size_;
        const std::uint64_t number = sized ? number_of(beside.data()) : 0;
        return holds(beside, number) && holds(frame, number) ? number : number & last_of_slice;
    }
};

class pooled_frames final : public frame_stream {
public:
    explicit pooled_frames(std::size_t size) : frame_stream("zbq, frame_pool", size) {}

    void prepare(unsigned actor) override {
        if (actor == 0) {
            make_producer();
            pool_.emplace(*producer_, zbq::frame_pool_options{.frames = 8, .frame_size = size_},
                          zbq::never);
            admit();
        } else {
            reader_.emplace(join());
        }
    }

private:
    void send(std::span<const std::byte> payload) override {
        zbq::frame next = pool_->acquire(zbq::never);
        must(next.why());
        fill(next.bytes().data(), size_, number_of(payload.data()));
        must(next.publish(size_, zbq::never, payload));
    }
    std::uint64_t receive() override {
        std::ignore = reader_->wait(zbq::never, std::chrono::nanoseconds::max());
        const zbq::received_frame got = reader_->try_next();
        const std::uint64_t number = read(got.beside(), got.bytes());
        return got.intact() ? number : number & last_of_slice;
    }

    std::optional<zbq::frame_pool> pool_;
    std::optional<zbq::frames> reader_;
};

class passed_frames final : public frame_stream {
public:
    explicit passed_frames(std::size_t size) : frame_stream("a descriptor each", size) {}

    void prepare(unsigned actor) override {
        if (actor == 0) {
            make_producer();
            admit();
        } else {
            reader_.emplace(join());
        }
    }

private:
    class mapped {
    public:
        mapped(int fd, std::size_t size, int protection)
            : base_(mmap(nullptr, size, protection, MAP_SHARED, fd, 0)), size_(size) {
            if (base_ == MAP_FAILED) {
                fail("mapping a frame");
            }
        }
        mapped(const mapped &) = delete;
        mapped &operator=(const mapped &) = delete;
        mapped(mapped &&) = delete;
        mapped &operator=(mapped &&) = delete;
        ~mapped() { munmap(base_, size_); }
        [[nodiscard]] std::span<std::byte> bytes() const {
            return {static_cast<std::byte *>(base_), size_};
        }

    private:
        void *base_;
        std::size_t size_;
    };

    static constexpr int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

    void send(std::span<const std::byte> payload) override {
        const zbq::unique_fd memory(memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING));
        if (!memory || ftruncate(memory.get(), static_cast<off_t>(size_)) != 0) {
            fail("a frame's memory");
        }
        fill(mapped(memory.get(), size_, PROT_READ | PROT_WRITE).bytes().data(), size_,
             number_of(payload.data()));
        if (fcntl(memory.get(), F_ADD_SEALS, seals) != 0) {
            fail("sealing a frame");
        }
        const int fd = memory.get();
        must(producer_->publish(payload, std::span(&fd, 1), zbq::never));
    }
    std::uint64_t receive() override {
        std::ignore = reader_->wait(zbq::never, std::chrono::nanoseconds::max());
        zbq::message message = reader_->try_next();
        const zbq::descriptors got = message.take_descriptors(zbq::never);
        struct stat status = {};
        if (got.size() != 1 || fcntl(got[0], F_GET_SEALS) != seals || fstat(got[0], &status) != 0 ||
            static_cast<std::size_t>(status.st_size) != size_) {
            return 0;
        }
        return read(message.payload(), mapped(got[0], size_, PROT_READ).bytes());
    }

    std::optional<zbq::consumer> reader_;
};

} // namespace bench
