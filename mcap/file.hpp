// SPDX-License-Identifier: MIT
//
// Where files are written to and read from.
#pragma once

#include "buffer.hpp"
#include "errors.hpp"

#include <cstdint>
#include <string>

namespace zbq::mcap {

// One thread at a time, but for sync.
class sink {
public:
    sink() = default;
    sink(const sink &) = delete;
    sink &operator=(const sink &) = delete;
    sink(sink &&) = delete;
    sink &operator=(sink &&) = delete;
    virtual ~sink() = default;

    // All of it, at the end. After io_error a part of it may be there: rewind.
    virtual void write(bytes data) = 0;
    // Cuts off what lies beyond. @throws io_error
    virtual void rewind(std::uint64_t size) = 0;
    // Returns when what was written before survives a power cut. @throws io_error
    virtual void sync() = 0;
};

class memory_sink final : public sink {
public:
    void write(bytes data) override { kept_.append(data); }
    void rewind(std::uint64_t size) override { kept_.shrink(size); }
    void sync() override {}
    [[nodiscard]] bytes view() const { return kept_.view(); }

private:
    buffer kept_;
};

class file_sink final : public sink {
public:
    // Makes the file. One that is there is replaced with `replace`, else it is EEXIST.
    // @throws io_error
    explicit file_sink(const std::string &path, bool replace = true);
    ~file_sink() override;
    file_sink(const file_sink &) = delete;
    file_sink &operator=(const file_sink &) = delete;
    file_sink(file_sink &&) = delete;
    file_sink &operator=(file_sink &&) = delete;

    void write(bytes data) override;
    void rewind(std::uint64_t size) override;
    // May be called beside the others, from another thread.
    void sync() override;
    // Told what close says, which some file systems say no sooner. @throws io_error
    void close();

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] const std::string &path() const { return path_; }

private:
    std::string path_;
    int fd_;
};

class source {
public:
    source() = default;
    source(const source &) = delete;
    source &operator=(const source &) = delete;
    source(source &&) = delete;
    source &operator=(source &&) = delete;
    virtual ~source() = default;

    [[nodiscard]] virtual std::uint64_t size() const = 0;
    // As many bytes from there as the file has. @throws io_error
    virtual std::size_t read(std::uint64_t offset, std::span<std::byte> to) = 0;
};

class memory_source final : public source {
public:
    explicit memory_source(bytes from) : from_(from) {} // which stay the caller's
    [[nodiscard]] std::uint64_t size() const override { return from_.size(); }
    std::size_t read(std::uint64_t offset, std::span<std::byte> to) override;

private:
    bytes from_;
};

// By pread: a file that is cut off meanwhile is short, where a mapping would kill the process.
class file_source final : public source {
public:
    // @throws io_error; EINVAL where it is no regular file
    explicit file_source(const std::string &path);
    ~file_source() override;
    file_source(const file_source &) = delete;
    file_source &operator=(const file_source &) = delete;
    file_source(file_source &&) = delete;
    file_source &operator=(file_source &&) = delete;

    [[nodiscard]] std::uint64_t size() const override { return size_; } // when it was opened
    std::size_t read(std::uint64_t offset, std::span<std::byte> to) override;

private:
    std::string path_;
    int fd_;
    std::uint64_t size_ = 0;
};

} // namespace zbq::mcap
