# SPDX-License-Identifier: MIT
#
# Run by CPack between installation and packing: what a Debian package has and `cmake --install`
# does not put anywhere.

set(source ${CMAKE_CURRENT_LIST_DIR})
set(runtime libzbq1)
set(development libzbq-dev)
set(tools zbq-tools)

# The licence as it is in the source, in the form of Debian's copyright files.
file(STRINGS ${source}/../../LICENSE lines)
list(FILTER lines INCLUDE REGEX "^Copyright")
string(REGEX REPLACE "^Copyright \\(c\\) " "" holder "${lines}")
file(READ ${source}/../../LICENSE licence)
string(REGEX REPLACE "^MIT License\n\nCopyright[^\n]*\n\n" "" licence "${licence}")
string(REGEX REPLACE "\n$" "" licence "${licence}")
string(REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REPLACE "\n" "\n " licence "${licence}")
set(copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: zbq

Files: *
Copyright: ${holder}
License: Expat
 ${licence}
")

function(gzip file)
    execute_process(COMMAND gzip -9nf ${file} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component})
    set(package ${${component}})
    set(doc ${root}/usr/share/doc/${package})
    file(WRITE ${doc}/copyright "${copyright}")
    file(COPY_FILE ${source}/changelog ${doc}/changelog.Debian)
    gzip(${doc}/changelog.Debian)
    if(EXISTS ${source}/../../CHANGELOG.md)
        file(COPY_FILE ${source}/../../CHANGELOG.md ${doc}/changelog)
        gzip(${doc}/changelog)
    endif()
    if(EXISTS ${source}/${package}.lintian-overrides)
        file(MAKE_DIRECTORY ${root}/usr/share/lintian/overrides)
        file(COPY_FILE ${source}/${package}.lintian-overrides
            ${root}/usr/share/lintian/overrides/${package})
    endif()

    file(GLOB pages ${root}/usr/share/man/man*/*.[1-9])
    foreach(page IN LISTS pages)
        if(IS_SYMLINK ${page})
            file(READ_SYMLINK ${page} target)
            file(REMOVE ${page})
            file(CREATE_LINK ${target}.gz ${page}.gz SYMBOLIC)
        else()
            gzip(${page})
        endif()
    endforeach()
    file(GLOB_RECURSE archives ${root}/*.a) # `strip` for an installation leaves these as they are
    foreach(archive IN LISTS archives)
        execute_process(COMMAND strip --strip-debug --enable-deterministic-archives ${archive}
            COMMAND_ERROR_IS_FATAL ANY)
    endforeach()
    file(GLOB programs ${root}/usr/bin/*) # they find the library where the system looks
    foreach(program IN LISTS programs)
        file(RPATH_REMOVE FILE ${program})
    endforeach()
    execute_process(COMMAND chmod -R u=rwX,go=rX ${root} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
