// SPDX-License-Identifier: MIT
//
// How far an importer has come, in a file: it survives the process at any instant, with one message
// at most that was published and is not noted yet. Not a power cut, but by chance.
#pragma once

#include <zbq.hpp>

#include <cstdint>
#include <string>

namespace zbq::bridge {

class position {
public:
    // In this file, which is made where it is not there, and locked while this object lives. No
    // path: it is forgotten with this object. @throws tool::failure
    position(const std::string &path, const std::string &stream);
    position(const position &) = delete;
    position &operator=(const position &) = delete;
    position(position &&) = delete;
    position &operator=(position &&) = delete;
    ~position();

    [[nodiscard]] bool is_known() const { return now().known != 0; }
    [[nodiscard]] std::uint64_t number() const { return now().number; } // of the last frame
    [[nodiscard]] bool has_ring() const { return ring() != whichever_ring; }
    [[nodiscard]] ring_id ring() const;
    [[nodiscard]] std::uint64_t offset() const { return now().offset; } // of the next message
    [[nodiscard]] std::string identity() const;                         // of the stream

    void set_offset(std::uint64_t offset);
    void set_number(std::uint64_t number);
    void begin_stream(const std::string &identity, std::uint64_t number);
    void begin_ring(const ring_id &ring, std::uint64_t offset);

private:
    static constexpr std::size_t most_text = 256;
    // As the file has it twice: the one that counts is changed in place word by word, or all of the
    // other one, and then it is that.
    struct half {
        std::uint64_t known = 0;
        std::uint64_t number = 0;
        std::uint64_t offset = 0;
        std::uint8_t ring[16] = {};
        char identity[most_text] = {};
    };
    struct contents {
        char magic[8] = {};
        char stream[most_text] = {};
        std::uint64_t which = 0;
        half halves[2] = {};
    };

    void open(const std::string &path);
    void map(const std::string &path, const std::string &stream);
    [[nodiscard]] const half &now() const { return here_->halves[here_->which & 1U]; }
    void replace(const half &with);

    unique_fd file_;
    contents own_;
    contents *here_ = &own_;
};

} // namespace zbq::bridge
