# SPDX-License-Identifier: MIT
#
# Run by CPack between installation and packing: what a Debian package has and `cmake --install`
# does not put anywhere.
cmake_policy(VERSION 3.22)

set(source ${CMAKE_CURRENT_LIST_DIR})
set(runtime libzbq1)
set(development libzbq-dev)
set(tools zbq-tools)
set(python python3-zbq)
set(bridge zbq-bridge)

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

# The same package from the same binaries, whenever it is made. CPack itself looks at it too.
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
    execute_process(COMMAND dpkg-parsechangelog --file ${source}/changelog --show-field Timestamp
        OUTPUT_VARIABLE epoch OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    set(ENV{SOURCE_DATE_EPOCH} ${epoch})
endif()

function(run)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component})
    set(package ${${component}})
    set(doc ${root}/usr/share/doc/${package})
    file(WRITE ${doc}/copyright "${copyright}")
    file(COPY_FILE ${source}/changelog ${doc}/changelog.Debian)
    run(gzip -9n ${doc}/changelog.Debian)
    file(COPY_FILE ${source}/../../CHANGELOG.md ${doc}/changelog)
    run(gzip -9n ${doc}/changelog)
    if(EXISTS ${source}/${package}.lintian-overrides)
        file(MAKE_DIRECTORY ${root}/usr/share/lintian/overrides)
        file(COPY_FILE ${source}/${package}.lintian-overrides
            ${root}/usr/share/lintian/overrides/${package})
    endif()

    if(EXISTS ${root}/usr/bin/zbq-bridge)
        file(MAKE_DIRECTORY ${root}/usr/lib/systemd/system)
        file(COPY_FILE ${source}/../systemd/zbq-bridge@.service
            ${root}/usr/lib/systemd/system/zbq-bridge@.service)
    endif()

    file(GLOB pages ${root}/usr/share/man/man*/*.[1-9])
    foreach(page IN LISTS pages)
        if(IS_SYMLINK ${page})
            file(READ_SYMLINK ${page} target)
            file(REMOVE ${page})
            file(CREATE_LINK ${target}.gz ${page}.gz SYMBOLIC)
        else()
            run(gzip -9n ${page})
        endif()
    endforeach()
    # Debian's zsh looks there for what packages bring; site-functions is the administrator's.
    set(zsh ${root}/usr/share/zsh)
    if(EXISTS ${zsh}/site-functions)
        file(RENAME ${zsh}/site-functions ${zsh}/vendor-completions)
    endif()
    file(GLOB_RECURSE archives ${root}/*.a)
    foreach(archive IN LISTS archives)
        run(strip --strip-debug --remove-section=.comment --enable-deterministic-archives
            ${archive})
    endforeach()
    file(GLOB libraries ${root}/usr/lib/*/*.so.*.*)
    file(GLOB programs ${root}/usr/bin/*)
    file(GLOB extensions ${root}/usr/lib/python3/dist-packages/*/*.so)
    foreach(binary IN LISTS libraries programs extensions)
        run(strip --strip-unneeded --remove-section=.comment ${binary})
    endforeach()
    foreach(program IN LISTS programs) # they find the library where the system looks
        file(RPATH_REMOVE FILE ${program})
    endforeach()
    file(GLOB modules ${root}/usr/lib/*/pkgconfig/*.pc) # this tree is not moved any more
    foreach(module IN LISTS modules)
        file(READ ${module} text)
        string(REGEX REPLACE "prefix=[^\n]*" "prefix=/usr" text "${text}")
        file(WRITE ${module} "${text}")
    endforeach()
    run(chmod -R u=rwX,go=rX ${root})
endforeach()
