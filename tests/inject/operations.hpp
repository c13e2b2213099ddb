// SPDX-License-Identifier: MIT
//
// The operations whose calls are made to fail, each in a scene that brings it to make them.
#pragma once

#include "scene.hpp"

#include <functional>
#include <string>
#include <vector>

namespace inject {

struct operation {
    std::string name;
    // Brings the scene to where `run` does its work: before the first and before every further one.
    std::function<void(scene &)> prepare;
    // One call of the library, and its result. Calls here are the library's alone.
    std::function<std::string(scene &)> run;
    // What is to be seen afterwards, as an addition to the result. Optional.
    std::function<std::string(scene &, const std::string &result)> after;
    test::ring_options options;
    bool leaves_nothing = false; // when it fails
    std::string missing_call;    // which the kernel does not have (ENOPROTOOPT); or empty
};

const std::vector<operation> &operations();

} // namespace inject
