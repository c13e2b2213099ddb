# SPDX-License-Identifier: MIT
#
# What is installed, in three components: runtime, development and tools.

include(CMakePackageConfigHelpers)
set(zbq_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/zbq)

# An export set for each library, so that one can be there without the other.
function(zbq_install target linkage)
    if(TARGET ${target})
        install(TARGETS ${target} EXPORT zbq-${linkage}
            LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
            NAMELINK_COMPONENT development
            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
        install(EXPORT zbq-${linkage} NAMESPACE zbq:: FILE zbq-${linkage}-targets.cmake
            DESTINATION ${zbq_cmake_dir} COMPONENT development)
    endif()
endfunction()
zbq_install(zbq shared)
zbq_install(zbq_static static)

install(FILES include/zbq.h include/zbq.hpp
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(DIRECTORY include/zbq
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN *.h*)

configure_package_config_file(cmake/zbq-config.cmake.in zbq-config.cmake
    INSTALL_DESTINATION ${zbq_cmake_dir}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(zbq-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/zbq-config.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/zbq-config-version.cmake
    DESTINATION ${zbq_cmake_dir} COMPONENT development)

# Relative to the file itself, so that an installed tree can be moved.
file(RELATIVE_PATH ZBQ_PC_TO_PREFIX
    ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" ZBQ_PC_TO_PREFIX ${ZBQ_PC_TO_PREFIX})
file(RELATIVE_PATH ZBQ_PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH ZBQ_PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(cmake/zbq.pc.in zbq.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/zbq.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
