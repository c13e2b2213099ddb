# SPDX-License-Identifier: MIT
#
# The project built as by one who took dist/zbq.h and the C++ headers, and nothing of src/.
# Sets ZBQ_SOURCE and ZBQ_INCLUDE_DIR.

set(ZBQ_SOURCE ${PROJECT_BINARY_DIR}/single/zbq.cpp)
set(ZBQ_INCLUDE_DIR ${PROJECT_BINARY_DIR}/single/include)
file(CONFIGURE OUTPUT ${ZBQ_SOURCE} CONTENT "#define ZBQ_IMPLEMENTATION\n#include \"zbq.h\"\n")
configure_file(dist/zbq.h ${ZBQ_INCLUDE_DIR}/zbq.h COPYONLY)
file(GLOB ZBQ_CPP_HEADERS RELATIVE ${PROJECT_SOURCE_DIR}/include CONFIGURE_DEPENDS
    include/*.hpp include/zbq/*)
foreach(header IN LISTS ZBQ_CPP_HEADERS)
    configure_file(include/${header} ${ZBQ_INCLUDE_DIR}/${header} COPYONLY)
endforeach()
