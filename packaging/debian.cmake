# SPDX-License-Identifier: MIT
#
# Debian packages, of a tree that is configured for /usr: cpack -G DEB. packaging/debian/stage.cmake
# adds the files that only such a package has.

file(STRINGS packaging/debian/changelog newest LIMIT_COUNT 1)
string(REGEX MATCH "\\((.*)-(.*)\\)" newest "${newest}")
if(NOT CMAKE_MATCH_1 STREQUAL PROJECT_VERSION)
    message(FATAL_ERROR "packaging/debian/changelog is of ${CMAKE_MATCH_1}, not ${PROJECT_VERSION}")
endif()
set(CPACK_DEBIAN_PACKAGE_RELEASE ${CMAKE_MATCH_2})
set(version ${PROJECT_VERSION}-${CMAKE_MATCH_2})

set(CPACK_GENERATOR DEB)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_CONTACT "zbq maintainers <maintainers@zbq.example>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL runtime development tools)
if(TARGET zbq_python)
    list(APPEND CPACK_COMPONENTS_ALL python)
endif()
if(TARGET zbq-bridge)
    list(APPEND CPACK_COMPONENTS_ALL bridge)
endif()
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SOURCE zbq)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/packaging/debian/stage.cmake)

# The first line of each description is the synopsis; there is none for all three. CPack indents.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(about "zbq is a ring of messages in shared memory, for Linux: one process publishes,
many read in place, with no daemon and no copy. Readers map it read-only; one
that dies, hangs or cheats loses its place and harms nobody. Messages may
carry file descriptors.
")

# CPack has no variable for Multi-Arch before 3.31, but takes two lines for one.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libzbq1)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION "libs\nMulti-Arch: same")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "zero-copy broadcast queue - shared library
${about}
This package has the library that programs need to run.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libzbq-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION "libdevel\nMulti-Arch: same")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libzbq1 (= ${version})")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "zero-copy broadcast queue - development files
${about}
This package has the headers for C and C++, the static library, and the files
for pkg-config and CMake.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME zbq-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION "utils\nMulti-Arch: foreign")
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS
    "libzbq1 (>= ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})")
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "zero-copy broadcast queue - command-line tool
${about}
This package has zbq, which publishes standard input or a file to any number
of subscribers on the same machine.")

set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-zbq)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS
    "python3 (>= 3.11), libzbq1 (>= ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})")
set(CPACK_DEBIAN_PYTHON_PACKAGE_SUGGESTS python3-numpy)
set(CPACK_DEBIAN_PYTHON_DESCRIPTION "zero-copy broadcast queue - Python package
${about}
This package has the module zbq for Python, with asyncio, NumPy and types.")

set(CPACK_DEBIAN_BRIDGE_PACKAGE_NAME zbq-bridge)
set(CPACK_DEBIAN_BRIDGE_PACKAGE_SECTION "net\nMulti-Arch: foreign")
set(CPACK_DEBIAN_BRIDGE_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_BRIDGE_PACKAGE_DEPENDS ${CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS})
set(CPACK_DEBIAN_BRIDGE_PACKAGE_SUGGESTS nats-server)
set(CPACK_DEBIAN_BRIDGE_DESCRIPTION "zero-copy broadcast queue - rings on several machines
${about}
This package has zbq-bridge, which carries rings to other machines by streams
of NATS JetStream, and publishes them there.")

# dpkg-shlibdeps would say nothing of the package's own library, which it only has to find.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR})

# Since which version each symbol is there: the map's nodes say it.
set(control ${PROJECT_BINARY_DIR}/debian)
file(STRINGS zbq.map lines REGEX "^(ZBQ_[0-9.]+ {| +zbq_[a-z_]+;)")
set(symbols "libzbq.so.1 libzbq1 #MINVER#\n* Build-Depends-Package: libzbq-dev\n")
foreach(line IN LISTS lines)
    if(line MATCHES "^ZBQ_([0-9.]+)")
        set(since ${CMAKE_MATCH_1})
        string(APPEND symbols " ZBQ_${since}@ZBQ_${since} ${since}\n")
    elseif(line MATCHES "(zbq_[a-z_]+)")
        string(APPEND symbols " ${CMAKE_MATCH_1}@ZBQ_${since} ${since}\n")
    endif()
endforeach()
file(WRITE ${control}/symbols "${symbols}")
file(WRITE ${control}/shlibs "libzbq 1 libzbq1 (>= ${since})\n")
file(WRITE ${control}/triggers "activate-noawait ldconfig\n")
# CPack writes a postinst and a postrm that run ldconfig themselves, unless they are named here;
# it says that they are missing and leaves them out.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA
    ${control}/symbols ${control}/shlibs ${control}/triggers
    ${control}/postinst ${control}/postrm)

# As dh_python3 has it.
file(WRITE ${control}/python/postinst "#!/bin/sh
set -e
if [ \"$1\" = configure ] && command -v py3compile >/dev/null; then
    py3compile -p python3-zbq
fi
")
file(WRITE ${control}/python/prerm "#!/bin/sh
set -e
if command -v py3clean >/dev/null; then
    py3clean -p python3-zbq
fi
")
file(CHMOD ${control}/python/postinst ${control}/python/prerm PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${control}/python/postinst ${control}/python/prerm)

include(CPack)
