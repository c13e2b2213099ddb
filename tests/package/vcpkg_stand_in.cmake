# SPDX-License-Identifier: MIT
#
# cmake -D PORT_DIR= -D WORK= -D LINKAGE=dynamic|static -P: runs portfile.cmake as vcpkg does, with
# the functions that it calls stood in for, by what vcpkg's documentation says of them.

set(PORT zbq)
set(CURRENT_PORT_DIR ${PORT_DIR})
set(CURRENT_PACKAGES_DIR ${WORK}/packages)
set(VCPKG_LIBRARY_LINKAGE ${LINKAGE})
foreach(kind release debug)
    set(build_${kind} ${WORK}/${kind})
endforeach()
set(prefix_release ${CURRENT_PACKAGES_DIR})
set(prefix_debug ${CURRENT_PACKAGES_DIR}/debug)

function(run)
    execute_process(COMMAND ${ARGN} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_cmake_configure)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" SOURCE_PATH OPTIONS)
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "vcpkg_cmake_configure: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    string(COMPARE EQUAL ${LINKAGE} dynamic shared)
    set(type_release Release)
    set(type_debug Debug)
    foreach(kind release debug)
        run(${CMAKE_COMMAND} -G Ninja -S ${arg_SOURCE_PATH} -B ${build_${kind}}
            -DCMAKE_BUILD_TYPE=${type_${kind}} -DBUILD_SHARED_LIBS=${shared}
            -DCMAKE_INSTALL_PREFIX=${prefix_${kind}} -DCMAKE_INSTALL_LIBDIR=lib
            -DCMAKE_MAKE_PROGRAM=${NINJA} ${arg_OPTIONS})
    endforeach()
endfunction()

function(vcpkg_cmake_install)
    foreach(kind release debug)
        run(${CMAKE_COMMAND} --build ${build_${kind}} --target install)
    endforeach()
endfunction()

function(vcpkg_cmake_config_fixup)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" CONFIG_PATH "")
    set(to ${CURRENT_PACKAGES_DIR}/share/${PORT})
    file(MAKE_DIRECTORY ${to})
    file(GLOB configs ${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/*)
    file(GLOB debug_targets ${prefix_debug}/${arg_CONFIG_PATH}/*targets-debug.cmake)
    file(COPY ${configs} ${debug_targets} DESTINATION ${to})
    file(REMOVE_RECURSE ${CURRENT_PACKAGES_DIR}/lib/cmake ${prefix_debug}/lib/cmake)
    # One level less to the prefix; what was built for debugging lies below debug/.
    file(GLOB targets ${to}/*targets.cmake)
    foreach(file IN LISTS targets)
        file(READ ${file} text)
        string(REGEX REPLACE
            "(get_filename_component\\(_IMPORT_PREFIX \"\\\${_IMPORT_PREFIX}\" PATH\\)\n)" ""
            text "${text}")
        string(REPLACE "_IMPORT_PREFIX \"\${CMAKE_CURRENT_LIST_FILE}\" PATH)"
            "_IMPORT_PREFIX \"\${CMAKE_CURRENT_LIST_DIR}/../..\" ABSOLUTE)" text "${text}")
        file(WRITE ${file} "${text}")
    endforeach()
    file(GLOB targets ${to}/*targets-debug.cmake)
    foreach(file IN LISTS targets)
        file(READ ${file} text)
        string(REPLACE "\${_IMPORT_PREFIX}/lib" "\${_IMPORT_PREFIX}/debug/lib" text "${text}")
        file(WRITE ${file} "${text}")
    endforeach()
endfunction()

function(vcpkg_fixup_pkgconfig)
    foreach(prefix ${prefix_release} ${prefix_debug})
        if(NOT EXISTS ${prefix}/lib/pkgconfig/zbq.pc)
            message(FATAL_ERROR "no zbq.pc in ${prefix}")
        endif()
    endforeach()
endfunction()

function(vcpkg_install_copyright)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "" FILE_LIST)
    file(READ ${arg_FILE_LIST} licence)
    file(WRITE ${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright "${licence}")
endfunction()

include(${PORT_DIR}/portfile.cmake)

# What vcpkg's own check after a build refuses, as far as it concerns a port like this.
foreach(unwanted debug/include debug/share lib/cmake debug/lib/cmake)
    if(EXISTS ${CURRENT_PACKAGES_DIR}/${unwanted})
        message(FATAL_ERROR "the port leaves ${unwanted}")
    endif()
endforeach()
foreach(wanted include/zbq.h share/zbq/copyright share/zbq/usage share/zbq/zbq-config.cmake)
    if(NOT EXISTS ${CURRENT_PACKAGES_DIR}/${wanted})
        message(FATAL_ERROR "the port lacks ${wanted}")
    endif()
endforeach()
set(unwanted_in_dynamic *.a)
set(unwanted_in_static *.so*)
file(GLOB_RECURSE libraries ${CURRENT_PACKAGES_DIR}/${unwanted_in_${LINKAGE}})
if(libraries)
    message(FATAL_ERROR "not of a ${LINKAGE} triplet: ${libraries}")
endif()
