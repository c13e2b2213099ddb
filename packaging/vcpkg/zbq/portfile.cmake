# SPDX-License-Identifier: MIT
#
# An overlay port of the source tree that it lies in:
#     vcpkg install zbq --overlay-ports=packaging/vcpkg
# vcpkg takes only a change of these files for a change of the port; after one of the library,
# remove the port first.
get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../.." ABSOLUTE)

string(COMPARE EQUAL "${VCPKG_LIBRARY_LINKAGE}" dynamic shared)
string(COMPARE EQUAL "${VCPKG_LIBRARY_LINKAGE}" static static)

vcpkg_cmake_configure(
    SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        -DZBQ_BUILD_SHARED=${shared}
        -DZBQ_BUILD_STATIC=${static}
        -DZBQ_BUILD_TOOLS=OFF
        -DZBQ_BUILD_TESTS=OFF
        -DZBQ_BUILD_EXAMPLES=OFF
        -DZBQ_BUILD_MANUAL=OFF
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/zbq)
vcpkg_fixup_pkgconfig()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include")
file(INSTALL "${CURRENT_PORT_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
