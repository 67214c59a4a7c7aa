# Builds and runs the consumer of one KIND against the library installed in PREFIX (or, by add_subdirectory,
# against the sources in ROOT).

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${ARGN}\nended with ${status}:\n${said}")
    endif()
    set(said "${said}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${BINARY}")
file(MAKE_DIRECTORY "${BINARY}")
set(program "${BINARY}/consumer")

if(KIND STREQUAL "pkg_config")
    set(ENV{PKG_CONFIG_PATH} "${PREFIX}/${LIBDIR}/pkgconfig")
    run(pkg-config --cflags --libs linkspan)
    string(STRIP "${said}" flags)
    separate_arguments(flags)
    run(cc -std=c99 -o "${program}" "${SOURCE}/main.c" ${flags})
    set(ENV{LD_LIBRARY_PATH} "${PREFIX}/${LIBDIR}")
else()
    run("${CMAKE_COMMAND}" -G "${GENERATOR}" -S "${SOURCE}/${KIND}" -B "${BINARY}" "-DCMAKE_PREFIX_PATH=${PREFIX}"
        "-DLINKSPAN_ROOT=${ROOT}" "-DLINKSPAN_CARGO_TARGET_DIR=${CARGO_DIR}")
    run("${CMAKE_COMMAND}" --build "${BINARY}")
endif()

run("${program}")
message("${said}")
run(ldd "${program}")
if(KIND STREQUAL "static")
    if(said MATCHES "liblinkspan")
        message(FATAL_ERROR "the static consumer needs the shared library:\n${said}")
    endif()
elseif(NOT said MATCHES "liblinkspan[.]so[.]1")
    message(FATAL_ERROR "the consumer does not ask for liblinkspan.so.1:\n${said}")
endif()
