// SPDX-License-Identifier: MIT
//
// Records to bytes and back, by their lists of fields. What is read is checked: a length that lies
// is damage, and nothing beyond the record is touched.
#pragma once

#include "errors.hpp"
#include "records.hpp"

#include <concepts>
#include <limits>
#include <string_view>
#include <type_traits>

namespace zbq::mcap {

// Little-endian, whatever the machine is; compilers make one instruction of it.
template <std::unsigned_integral Number>
void store(std::byte *to, Number value) {
    for (std::size_t i = 0; i < sizeof(Number); ++i) {
        to[i] = static_cast<std::byte>(static_cast<std::uint64_t>(value) >> 8U * i);
    }
}

template <std::unsigned_integral Number>
Number load(const std::byte *from) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i) {
        value |= static_cast<std::uint64_t>(from[i]) << 8U * i;
    }
    return static_cast<Number>(value);
}

inline bytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

class encoder {
public:
    explicit encoder(buffer *to) : to_(to) {}

    template <std::unsigned_integral Number>
    void put(Number value) {
        store(to_->room(sizeof value), value);
        to_->use(sizeof value);
    }
    void put(opcode value) { put(static_cast<std::uint8_t>(value)); }
    void put(const std::string &text) {
        put_length(text.size());
        to_->append(bytes_of(text));
    }
    void put(const blob &data) {
        put(std::uint64_t{data.view.size()});
        to_->append(data.view);
    }
    void put(const remainder &data) { to_->append(data.view); }
    template <typename Key, typename Value>
    void put(const std::map<Key, Value> &entries) {
        put_entries(entries);
    }
    void put(const std::vector<index_entry> &entries) { put_entries(entries); }

private:
    template <typename Entries>
    void put_entries(const Entries &entries) {
        const std::size_t begin = to_->size();
        put(std::uint32_t{0});
        for (const auto &[key, value] : entries) {
            put(key);
            put(value);
        }
        const std::size_t size = to_->size() - begin - sizeof(std::uint32_t);
        store(to_->data() + begin, checked(size));
    }
    void put_length(std::size_t size) { put(checked(size)); }
    static std::uint32_t checked(std::size_t size) {
        if (size > std::numeric_limits<std::uint32_t>::max()) {
            throw std::length_error("MCAP: more than 4 GiB in one field");
        }
        return static_cast<std::uint32_t>(size);
    }

    buffer *to_;
};

// Appends the whole record. `extension` is what readers are to ignore at its end.
template <typename Record>
void encode(buffer *to, const Record &record, std::string_view extension = {}) {
    encoder out(to);
    out.put(Record::code);
    const std::size_t begin = to->size();
    out.put(std::uint64_t{0});
    std::apply([&](const auto &...field) { (out.put(field), ...); }, Record::fields(record));
    to->append(bytes_of(extension));
    store(to->data() + begin, std::uint64_t{to->size() - begin - sizeof(std::uint64_t)});
}

class decoder {
public:
    explicit decoder(bytes from) : left_(from) {}

    [[nodiscard]] std::size_t left() const { return left_.size(); }

    template <std::unsigned_integral Number>
    void get(Number *value) {
        *value = load<Number>(take(sizeof(Number)).data());
    }
    void get(opcode *value) { *value = static_cast<opcode>(take(1)[0]); }
    void get(std::string *text) {
        const bytes found = take(length());
        text->assign(reinterpret_cast<const char *>(found.data()), found.size());
    }
    void get(blob *data) {
        std::uint64_t size = 0;
        get(&size);
        data->view = take(size);
    }
    void get(remainder *data) { data->view = std::exchange(left_, {}); }
    template <typename Key, typename Value>
    void get(std::map<Key, Value> *entries) {
        each_entry<Key, Value>([&](Key key, Value value) {
            entries->insert_or_assign(std::move(key), std::move(value));
        });
    }
    void get(std::vector<index_entry> *entries) {
        each_entry<timestamp, std::uint64_t>(
            [&](timestamp time, std::uint64_t offset) { entries->emplace_back(time, offset); });
    }

private:
    std::uint32_t length() {
        std::uint32_t size = 0;
        get(&size);
        return size;
    }
    bytes take(std::uint64_t size) {
        if (size > left_.size()) {
            throw damage("a field of " + std::to_string(size) + " bytes, where " +
                         std::to_string(left_.size()) + " are left");
        }
        const bytes taken = left_.first(size);
        left_ = left_.subspan(size);
        return taken;
    }
    template <typename Key, typename Value, typename Add>
    void each_entry(const Add &add) {
        decoder inner(take(length()));
        while (inner.left() != 0) {
            Key key = {};
            Value value = {};
            inner.get(&key);
            inner.get(&value);
            add(std::move(key), std::move(value));
        }
    }

    bytes left_;
};

// Of a record's content, without opcode and length. Blobs and remainders point into it.
// @throws damage
template <typename Record>
Record decode(bytes content) {
    Record record;
    decoder in(content);
    std::apply([&](auto &...field) { (in.get(&field), ...); }, Record::fields(record));
    return record;
}

} // namespace zbq::mcap
