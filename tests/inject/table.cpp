// SPDX-License-Identifier: MIT
#include "table.hpp"

#include "interposer.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace inject {

namespace {

using words = std::vector<std::string>;

words split(const std::string &line) {
    std::istringstream stream(line);
    words all;
    for (std::string word; stream >> word;) {
        all.push_back(word);
    }
    return all;
}

void require(bool holds, const std::string &what) {
    if (!holds) {
        throw std::runtime_error(what);
    }
}

int failure_of(const std::string &name) {
    const int failure = failure_from(name);
    require(failure != 0, "no such failure: " + name);
    return failure;
}

class reader {
public:
    void take(const std::string &line);
    [[nodiscard]] table done() { return std::move(read_); }

private:
    void take_failures(const words &line);
    void take_operation(const words &line);
    void take_row(const words &line, bool has_reason);
    static void fill(row *into, const words &line, const std::vector<int> &possible);

    table read_;
    operation_rows *operation_ = nullptr;
};

void reader::take_failures(const words &line) {
    require(line.size() > 2, "failures of nothing");
    std::vector<int> &list = read_.failures[line[1]];
    require(list.empty(), "twice: " + line[1]);
    for (std::size_t i = 2; i < line.size(); ++i) {
        list.push_back(failure_of(line[i]));
    }
}

void reader::take_operation(const words &line) {
    require(line.size() == 3, "an operation has a name and a result");
    operation_ = &read_.operations[line[1]];
    require(operation_->result.empty(), "twice: " + line[1]);
    operation_->result = line[2];
}

// The words are FAILURE:RESULT; a failure of * stands for all that are not named.
void reader::fill(row *into, const words &line, const std::vector<int> &possible) {
    std::string others;
    for (std::size_t i = 1; i < line.size(); ++i) {
        const std::size_t colon = line[i].find(':');
        require(colon != std::string::npos, "no result: " + line[i]);
        const std::string name = line[i].substr(0, colon);
        const std::string result = line[i].substr(colon + 1);
        if (name == "*") {
            others = result;
        } else {
            into->results[failure_of(name)] = result;
        }
    }
    std::size_t known = 0;
    for (const int failure : possible) {
        known += into->results.count(failure);
    }
    require(known == into->results.size(), "a failure that the call does not have");
    require(known == possible.size() || !others.empty(), "a failure is left out");
    for (const int failure : possible) {
        into->results.try_emplace(failure, others);
    }
}

void reader::take_row(const words &line, bool has_reason) {
    require(operation_ != nullptr, "a call without an operation");
    const bool optional = line[0].front() == '?';
    const std::string key = line[0].substr(optional ? 1 : 0);
    const std::string call = key.substr(0, key.find('#'));
    const auto possible = read_.failures.find(call);
    require(possible != read_.failures.end(), "nobody knows how it fails: " + call);
    const auto [place, is_new] = operation_->rows.try_emplace(key);
    require(is_new, "twice: " + key);
    place->second.optional = optional;
    fill(&place->second, line, possible->second);
    for (const auto &[failure, result] : place->second.results) {
        require(result != operation_->result || has_reason,
                failure_name(failure) + " does nothing, and no reason is given");
    }
}

void reader::take(const std::string &line) {
    const std::size_t bar = line.find('|');
    const words all = split(line.substr(0, bar));
    if (all.empty() || all[0].front() == '#') {
        return;
    }
    if (all[0] == "failures") {
        take_failures(all);
    } else if (all[0] == "operation") {
        take_operation(all);
    } else {
        take_row(all, bar != std::string::npos);
    }
}

} // namespace

table read_table(std::istream &text) {
    reader all;
    std::string line;
    for (int number = 1; std::getline(text, line); ++number) {
        try {
            all.take(line);
        } catch (const std::runtime_error &wrong) {
            throw std::runtime_error("line " + std::to_string(number) + ": " + wrong.what());
        }
    }
    return all.done();
}

const table &the_table() {
    static const table read = [] {
        std::ifstream text(ZBQ_INJECT_TABLE);
        require(text.good(), "no table at " ZBQ_INJECT_TABLE);
        return read_table(text);
    }();
    return read;
}

const row *find_row(const operation_rows &operation, const std::string &call, unsigned nth) {
    auto found = operation.rows.find(call + "#" + std::to_string(nth));
    if (found == operation.rows.end()) {
        found = operation.rows.find(call);
    }
    return found == operation.rows.end() ? nullptr : &found->second;
}

} // namespace inject
