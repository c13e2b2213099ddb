// SPDX-License-Identifier: MIT
/// @file
/// The C interface as C++ reads it, and the namespace of this version. Not part of the interface.
#pragma once

#include "inline.h"

// All names carry the version inside of zbq, which nobody has to write: so a program and a plug-in
// in one process, compiled with different headers, do not take each other's inline functions for
// their own. What is not defined by zbq.hpp, zbq.h's structs and calls, stays the same in
// every 1.x.
#define ZBQ_NAMESPACE_OF(major, minor, patch) zbq::inline v##major##_##minor##_##patch
#define ZBQ_NAMESPACE_EXPANDED(major, minor, patch) ZBQ_NAMESPACE_OF(major, minor, patch)
#define ZBQ_NAMESPACE                                                                              \
    ZBQ_NAMESPACE_EXPANDED(ZBQ_VERSION_MAJOR, ZBQ_VERSION_MINOR, ZBQ_VERSION_PATCH)
