// SPDX-License-Identifier: MIT
/// @file
/// Serving while a program is busy with something else.
#pragma once

#include "process.hpp"
#include "producer.hpp"

#include <csignal>
#include <memory>
#include <pthread.h>
#include <sys/eventfd.h>
#include <thread>

namespace ZBQ_NAMESPACE {

/// Serves what is attached to a producer, in a thread of its own, as long as this lives: for a
/// program that has nothing to publish for long. Nobody else may use the producer meanwhile, so
/// that no message pays for a lock.
///
///     zbq::listener door("lines");
///     zbq::producer ring;
///     ring.attach(door);
///     std::string line;
///     {
///         zbq::serving_thread meanwhile(ring);
///         std::getline(std::cin, line);
///     }
///     std::ignore = ring.publish(zbq::bytes_of(line), zbq::never);
///
/// What a service throws meanwhile, producer::serve throws afterwards. The thread takes no signals.
class serving_thread {
public:
    /// Begins. @param ring stays where it is, and what is attached to it
    /// @throws error io; std::system_error: no thread can be made
    explicit serving_thread(producer &ring) : stop_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
        if (!stop_) {
            detail::throw_errno("making a descriptor to stop a thread by");
        }
        const without_signals quiet;
        thread_ = std::make_unique<std::thread>([this, &ring] { serve(ring); });
    }
    serving_thread(const serving_thread &) = delete;
    serving_thread &operator=(const serving_thread &) = delete;
    serving_thread(serving_thread &&) = delete;
    serving_thread &operator=(serving_thread &&) = delete;
    /// Ends. Waits for what it is serving just now, which never blocks. In a forked child there is
    /// no thread, and nothing to end.
    ~serving_thread() {
        if (birth_.is_here()) {
            ::eventfd_write(stop_.get(), 1);
            thread_->join();
        } else {
            static_cast<void>(thread_.release()); // no call takes a thread that is not there
        }
    }

private:
    // A new thread begins with its maker's mask.
    class without_signals {
    public:
        without_signals() noexcept {
            sigset_t all;
            ::sigfillset(&all);
            ::pthread_sigmask(SIG_SETMASK, &all, &before_);
        }
        without_signals(const without_signals &) = delete;
        without_signals &operator=(const without_signals &) = delete;
        without_signals(without_signals &&) = delete;
        without_signals &operator=(without_signals &&) = delete;
        ~without_signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    private:
        sigset_t before_ = {};
    };

    void serve(producer &ring) const noexcept {
        eventfd_t rung = 0;
        while (::eventfd_read(stop_.get(), &rung) != 0) {
            if (!ring.serve_beside(stop_.get())) { // out of memory: later
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
            }
        }
    }

    detail::birthmark birth_;
    unique_fd stop_;
    std::unique_ptr<std::thread> thread_;
};

} // namespace ZBQ_NAMESPACE
