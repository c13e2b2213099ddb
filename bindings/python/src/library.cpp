// SPDX-License-Identifier: MIT
//
// The library, from its single header.
#define ZBQ_IMPLEMENTATION
#include "zbq.h"
