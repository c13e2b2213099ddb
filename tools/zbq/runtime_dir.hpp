// SPDX-License-Identifier: MIT
//
// Where the rendezvous socket of a name lies.
#pragma once

#include <string>

namespace zbq::tool {

enum class directory_use {
    create, // the publisher makes the private directory
    look,   // a subscriber does not
};

// The socket's path: NAME itself when it has a slash, else in a directory that only this
// user can write. Throws when the name or the directory will not do; a directory that is
// not there is no error for a subscriber.
std::string rendezvous_path(const std::string &name, directory_use use);

} // namespace zbq::tool
