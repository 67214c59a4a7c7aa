# Makes cargo see that these sources were unpacked anew. It goes by the files' times, and those of an archive may
# be older than what was built of the sources that were in this place before; the library would stay the old one.

file(GLOB_RECURSE sources Cargo.lock core/Cargo.toml core/src/*.rs ffi/Cargo.toml ffi/src/*.rs)
list(SORT sources)
set(contents "")
foreach(source ${sources})
    file(MD5 "${source}" hash)
    string(APPEND contents "${hash}")
endforeach()
string(MD5 contents "${contents}")
if(NOT contents STREQUAL LINKSPAN_UNPACKED)
    file(TOUCH core/src/lib.rs ffi/src/lib.rs)
endif()
set(LINKSPAN_UNPACKED "${contents}" CACHE INTERNAL "What was unpacked")
