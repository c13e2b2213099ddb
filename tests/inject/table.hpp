// SPDX-License-Identifier: MIT
//
// What is to come of each failure of each call of each operation: table.txt, read and checked.
#pragma once

#include <istream>
#include <map>
#include <string>
#include <vector>

namespace inject {

// A call within an operation.
struct row {
    bool optional = false;              // not every kernel leads to this call
    std::map<int, std::string> results; // by failure
};

struct operation_rows {
    std::string result;              // when nothing fails
    std::map<std::string, row> rows; // by call, or call#n for its nth occurrence
};

struct table {
    std::map<std::string, std::vector<int>> failures; // that a call can have
    std::map<std::string, operation_rows> operations;
};

// Throws std::runtime_error, with the line, for what it does not understand, an errno that a call
// cannot have, one that is left out, and a failure without effect for which no reason is given.
table read_table(std::istream &text);
const table &the_table();

// The row for the nth occurrence of a call; nullptr: the table does not know it.
const row *find_row(const operation_rows &operation, const std::string &call, unsigned nth);

} // namespace inject
