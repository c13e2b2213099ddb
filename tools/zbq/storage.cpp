// SPDX-License-Identifier: MIT
#include "storage.hpp"

#include "errors.hpp"
#include "io.hpp"
#include "signals.hpp"
#include "units.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

namespace zbq::tool {

namespace {

mcap::writer_options file_options(const record_options &options) {
    mcap::writer_options file;
    file.profile = "zbq";
    file.library =
        fmt::format("zbq {}.{}.{}", ZBQ_VERSION_MAJOR, ZBQ_VERSION_MINOR, ZBQ_VERSION_PATCH);
    file.compression = options.compression;
    file.parts.definitions_in_chunks = false; // each chunk can be read by itself
    return file;
}

// Signals are for the thread that reads.
class signals_blocked {
public:
    signals_blocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~signals_blocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    signals_blocked(const signals_blocked &) = delete;
    signals_blocked &operator=(const signals_blocked &) = delete;
    signals_blocked(signals_blocked &&) = delete;
    signals_blocked &operator=(signals_blocked &&) = delete;

private:
    sigset_t before_ = {};
};

std::uint64_t size_of(const mcap::sealed_chunk &chunk) {
    return chunk.records.size() + chunk.messages * sizeof(mcap::index_entry);
}

} // namespace

void storage::start() {
    if (!options_.is_flight_recorder()) {
        open();
    }
    const signals_blocked here;
    thread_ = std::thread([this] { run(); });
}

storage::~storage() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

// ---- from the thread that reads ----

bool storage::define(const mcap::channel &what) {
    return add(what, 0);
}

bool storage::keep(retained_copy what) {
    const std::uint64_t size = what.data.size();
    return add(std::move(what), size);
}

bool storage::put(mcap::sealed_chunk what) {
    const std::uint64_t size = size_of(what);
    return add(std::move(what), size);
}

bool storage::dump() {
    return add(dump_request(), 0);
}

bool storage::add(item what, std::uint64_t size) {
    std::unique_lock lock(mutex_);
    while (waiting_ != 0 && waiting_ + size > options_.memory && !so_far_.failed) {
        changed_.wait_for(lock, std::chrono::milliseconds(100));
    }
    if (so_far_.failed) {
        return false;
    }
    queue_.emplace_back(std::move(what), size);
    waiting_ += size;
    lock.unlock();
    changed_.notify_all();
    return true;
}

stored storage::so_far() const {
    const std::lock_guard lock(mutex_);
    stored now = so_far_;
    now.waiting += waiting_;
    return now;
}

void storage::finish() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
    if (!failure_.empty()) {
        throw failure(failure_, exit_output);
    }
}

// ---- the thread that writes ----

void storage::run() {
    try {
        work();
        if (writer_) {
            close();
        }
    } catch (const std::exception &error) {
        fail(error);
    }
}

void storage::work() {
    for (;;) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::nanoseconds(options_.sync / 2 + millisecond),
                          [this] { return ending_ || !queue_.empty(); });
        if (queue_.empty()) {
            if (ending_) {
                return;
            }
            lock.unlock();
            sync_if_due();
            continue;
        }
        auto [what, size] = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        std::visit([this](auto &each) { take(std::move(each)); }, what);
        lock.lock();
        waiting_ -= size;
        lock.unlock();
        changed_.notify_all();
        note_progress();
        sync_if_due();
    }
}

void storage::take(mcap::channel &&what) {
    if (writer_) {
        writer_->add(what);
    }
    channels_.insert_or_assign(what.id, std::move(what));
}

void storage::take(retained_copy &&what) {
    if (what.forgotten) {
        retained_.erase(what.name);
        return;
    }
    if (writer_ && what.is_initial) {
        writer_->attach({what.time, 0, what.name, "application/octet-stream", {what.data}, 0});
    }
    retained_.insert_or_assign(what.name, std::move(what));
}

void storage::take(mcap::sealed_chunk &&what) {
    if (options_.is_flight_recorder()) {
        hold(std::move(what));
        return;
    }
    split_if_due(what);
    write(what);
}

void storage::write(const mcap::sealed_chunk &what) {
    if (file_start_ == 0) {
        file_start_ = what.start_time;
    }
    for (const mcap::message_index &each : what.indexes) {
        writer_->add(channels_.at(each.channel_id));
    }
    writer_->write(what);
    // Lets the disk begin, so that a sync has less to wait for.
    ::sync_file_range(file_->fd(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

void storage::sync_if_due() {
    const std::uint64_t now = now_ns();
    const bool is_due = options_.sync != 0 && now >= synced_at_ + options_.sync / 2;
    if (file_ && is_due && writer_->size() != synced_size_) {
        writer_->flush();
        file_->sync();
        synced_at_ = now_ns();
        synced_size_ = writer_->size();
    }
}

void storage::split_if_due(const mcap::sealed_chunk &next) {
    const bool large = options_.split_size != 0 && writer_->size() >= options_.split_size;
    const bool late = options_.split_time != 0 && file_start_ != 0 &&
                      next.end_time >= file_start_ + options_.split_time;
    if ((large || late) && writer_->so_far().chunk_count != 0) {
        close();
        open();
    }
}

// ---- a flight recorder ----

void storage::hold(mcap::sealed_chunk &&what) {
    window_bytes_ += size_of(what);
    const mcap::timestamp newest = what.end_time;
    window_.push_back(std::move(what));
    while (window_.size() > 1 && (window_bytes_ > options_.memory ||
                                  window_.front().end_time + options_.ring_buffer < newest)) {
        window_bytes_ -= size_of(window_.front());
        window_.pop_front();
    }
}

void storage::take(dump_request /*what*/) {
    open();
    for (const mcap::sealed_chunk &each : window_) {
        write(each);
    }
    const std::uint64_t messages = writer_->so_far().message_count;
    const std::string path = file_->path();
    const double span =
        window_.empty() ? 0 : as_seconds(window_.back().end_time - window_.front().start_time);
    close();
    say(fmt::format("{}: {} messages of the last {:.1f} s", path, messages, span));
}

// ---- files ----

std::string storage::path_of(std::uint32_t number) const {
    if (!options_.has_many_files()) {
        return options_.output;
    }
    constexpr std::string_view extension = ".mcap";
    std::string_view base = options_.output;
    if (base.ends_with(extension)) {
        base.remove_suffix(extension.size());
    }
    return fmt::format("{}-{:04}{}", base, number, extension);
}

// Of many files none takes the name of an earlier recording's.
void storage::open() {
    do {
        ++number_;
        try {
            file_ = std::make_unique<mcap::file_sink>(path_of(number_), options_.force);
        } catch (const mcap::io_error &error) {
            if (error.code().value() != EEXIST || !options_.has_many_files()) {
                throw;
            }
        }
    } while (!file_);
    writer_.emplace(file_.get(), file_options(options_));
    file_start_ = 0;
    synced_size_ = 0;
    paths_.push_back(file_->path());
    ++files_;
    for (const auto &[name, kept] : retained_) {
        writer_->attach({kept.time, 0, name, "application/octet-stream", {kept.data}, 0});
    }
    writer_->flush();
    while (options_.keep != 0 && paths_.size() > options_.keep) {
        ::unlink(paths_.front().c_str());
        paths_.pop_front();
    }
    note_progress();
}

void storage::close() {
    writer_->finish();
    if (options_.sync != 0) {
        file_->sync();
    }
    messages_before_ += writer_->so_far().message_count;
    bytes_before_ += writer_->size();
    writer_.reset();
    file_->close();
    file_.reset();
    note_progress();
}

void storage::note_progress() {
    const std::lock_guard lock(mutex_);
    so_far_.messages = messages_before_ + (writer_ ? writer_->so_far().message_count : 0);
    so_far_.bytes = bytes_before_ + (writer_ ? writer_->size() : 0);
    so_far_.files = files_;
    so_far_.waiting = window_bytes_;
    so_far_.file = paths_.empty() ? std::string() : paths_.back();
}

// The file is as it was before what failed; its end may still fit.
void storage::fail(const std::exception &why) {
    std::string text = why.what();
    if (const auto *error = dynamic_cast<const mcap::io_error *>(&why)) {
        text += limit_text(error->code().value());
    }
    if (writer_) {
        try {
            writer_->finish();
            text += "; what was written before is whole";
        } catch (const std::exception &) {
            text += "; the file has no end: zbq info --recover makes a whole one of it";
        }
    }
    note_progress();
    const std::lock_guard lock(mutex_);
    so_far_.failed = true;
    failure_ = text;
    changed_.notify_all();
}

} // namespace zbq::tool
