# Builds and runs the programs of consumer/, which take the library as HOW says:
#
#   find_package, pkg_config    as it is installed in PREFIX, or in the system when that is empty
#   add_subdirectory            from these sources
#   fetch_content               from the source package that cpack makes of BUILD, in debug and without TLS;
#                               what that installs is then found, and found to be without TLS

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")
get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
set(source "${CMAKE_CURRENT_LIST_DIR}/consumer")

# programs(FOLDER PROGRAM...): each ends with 0, and the shared library is asked for by those named for it.
function(programs folder)
    foreach(program ${ARGN})
        run("${folder}/${program}")
        message("${program}: ${said}")
        execute_process(COMMAND ldd "${folder}/${program}" OUTPUT_VARIABLE needs ERROR_VARIABLE needs)
        if(program MATCHES "shared" AND NOT needs MATCHES "liblinkspan[.]so[.]1 => /")
            message(FATAL_ERROR "${program} does not ask for liblinkspan.so.1:\n${needs}")
        elseif(program MATCHES "static" AND needs MATCHES "liblinkspan")
            message(FATAL_ERROR "${program} needs the shared library:\n${needs}")
        endif()
    endforeach()
endfunction()

# project(BINARY ARGUMENT...): the consumer project with those arguments, configured, built and run.
function(project binary)
    run("${CMAKE_COMMAND}" -G "${GENERATOR}" -S "${source}" -B "${binary}" "-DLINKSPAN_CARGO_TARGET_DIR=${CARGO_DIR}"
        ${ARGN})
    run("${CMAKE_COMMAND}" --build "${binary}")
    programs("${binary}" c_shared c_static cpp_shared cpp_static)
endfunction()

# refused(SENTENCE COMMAND...): it must fail, and say that.
function(refused sentence)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(status EQUAL 0 OR NOT said MATCHES "${sentence}")
        message(FATAL_ERROR "${ARGN}\nended with ${status}, and not because of \"${sentence}\":\n${said}")
    endif()
endfunction()

file(REMOVE_RECURSE "${BINARY}")
file(MAKE_DIRECTORY "${BINARY}")

if(HOW STREQUAL "find_package")
    project("${BINARY}" -DHOW=${HOW} "-DCMAKE_PREFIX_PATH=${PREFIX}" -DTLS=${TLS} -DDEFLATE=${DEFLATE})

elseif(HOW STREQUAL "add_subdirectory")
    project("${BINARY}" -DHOW=${HOW} "-DSOURCES=${root}" "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}"
        -DLINKSPAN_TLS=${TLS} -DLINKSPAN_DEFLATE=${DEFLATE} -DTLS=${TLS} -DDEFLATE=${DEFLATE})

elseif(HOW STREQUAL "fetch_content")
    # To cargo two copies of a workspace are the same one: in a folder that both share, each would take what was
    # built of the other.
    set(CARGO_DIR "${BINARY}/cargo")
    set(ENV{CARGO_PROFILE_DEV_DEBUG} false)
    set(ENV{CARGO_INCREMENTAL} 0)
    run("${CMAKE_CPACK_COMMAND}" --config "${BUILD}/CPackSourceConfig.cmake" -B "${BINARY}/package")
    file(GLOB archive "${BINARY}/package/*.tar.gz")
    project("${BINARY}/fetched" -DHOW=${HOW} "-DSOURCES=${archive}" -DCMAKE_BUILD_TYPE=Debug
        -DLINKSPAN_TLS=OFF -DTLS=OFF -DDEFLATE=ON)
    # A later archive, though with files that are older than what was built, takes the place of that one.
    set(newer "${BINARY}/newer")
    file(COPY "${BINARY}/fetched/_deps/linkspan-src" DESTINATION "${newer}")
    set(changed "${newer}/linkspan-src/ffi/src/library.rs")
    file(READ "${changed}" text)
    string(REPLACE "env!(\"CARGO_PKG_VERSION\"), \"" "env!(\"CARGO_PKG_VERSION\"), \" newer" text "${text}")
    file(WRITE "${changed}" "${text}")
    run(touch -d 2020-01-01 "${changed}")
    run("${CMAKE_COMMAND}" -E chdir "${newer}" "${CMAKE_COMMAND}" -E tar czf newer.tar.gz linkspan-src)
    project("${BINARY}/fetched" -DHOW=${HOW} "-DSOURCES=${newer}/newer.tar.gz")
    run("${BINARY}/fetched/c_shared")
    if(NOT said MATCHES " newer: echoed")
        message(FATAL_ERROR "the library is still the one of the first archive: ${said}")
    endif()

    run("${CMAKE_COMMAND}" --install "${BINARY}/fetched" --prefix "${BINARY}/prefix")
    project("${BINARY}/found" -DHOW=find_package "-DCMAKE_PREFIX_PATH=${BINARY}/prefix" -DTLS=OFF -DDEFLATE=ON)
    refused("built without tls" "${CMAKE_COMMAND}" -G "${GENERATOR}" -S "${source}" -B "${BINARY}/refused"
        -DHOW=find_package "-DCMAKE_PREFIX_PATH=${BINARY}/prefix" -DTLS=ON -DDEFLATE=ON)
    file(REMOVE_RECURSE "${CARGO_DIR}")

elseif(HOW STREQUAL "pkg_config")
    if(PREFIX)
        file(GLOB_RECURSE pc "${PREFIX}/linkspan.pc")
        get_filename_component(pkgconfig "${pc}" DIRECTORY)
        get_filename_component(libraries "${pkgconfig}" DIRECTORY)
        set(ENV{PKG_CONFIG_PATH} "${pkgconfig}")
        set(ENV{LD_LIBRARY_PATH} "${libraries}")
    endif()
    foreach(kind shared static)
        set(wanted --cflags --libs)
        if(kind STREQUAL "static")
            list(APPEND wanted --static)
        endif()
        run(pkg-config ${wanted} linkspan)
        separate_arguments(flags UNIX_COMMAND "${said}")
        if(kind STREQUAL "static")
            # The linker takes liblinkspan.so where both are, unless all of the program is to be static.
            list(APPEND flags -static)
        endif()
        foreach(compiler "cc;c;-std=c99" "c++;cpp;-std=c++17")
            list(GET compiler 0 command)
            list(GET compiler 1 language)
            list(GET compiler 2 standard)
            run(${command} ${standard} "-DTLS=${TLS}" "-DDEFLATE=${DEFLATE}" -DON=1 -DOFF=0
                -o "${BINARY}/${language}_${kind}" "${source}/main.${language}" ${flags})
        endforeach()
    endforeach()
    programs("${BINARY}" c_shared c_static cpp_shared cpp_static)
endif()
