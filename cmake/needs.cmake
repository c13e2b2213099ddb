# SPDX-License-Identifier: MIT
#
# A part whose packages are not here is left out, and a line says which part for want of which
# package.

function(zbq_left_out part missing)
    list(JOIN missing ", " missing)
    message(STATUS "zbq: no ${missing}: without ${part}")
endfunction()

# zbq_needs(RESULT PART PACKAGE...): RESULT is whether all are here. A package is one of find_package's,
# or NAME=VARIABLE, which find_path or find_program has set.
function(zbq_needs result part)
    set(missing "")
    foreach(package IN LISTS ARGN)
        if(package MATCHES "(.*)=(.*)")
            set(package ${CMAKE_MATCH_1})
            set(found ${${CMAKE_MATCH_2}})
        else()
            find_package(${package} QUIET)
            set(found ${${package}_FOUND})
        endif()
        if(NOT found)
            list(APPEND missing ${package})
        endif()
    endforeach()
    if(missing)
        zbq_left_out("${part}" "${missing}")
    endif()
    string(COMPARE EQUAL "${missing}" "" all)
    set(${result} ${all} PARENT_SCOPE)
endfunction()
