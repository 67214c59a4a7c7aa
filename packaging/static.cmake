# Makes STATIC of cargo's liblinkspan.a in BUILT: one object whose only global symbols are those that the shared
# library exports. As cargo leaves it, the archive also offers Rust's runtime, and a program that links two
# such archives, ours and another's, does not link: rust_eh_personality would be there twice.

file(MD5 "${BUILT}/liblinkspan.a" made_of)
set(stamp "${STATIC}.md5")
if(EXISTS "${STATIC}" AND EXISTS "${stamp}")
    file(READ "${stamp}" before)
    if(before STREQUAL made_of)
        return()
    endif()
endif()

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE complaint)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${ARGN}\nended with ${status}: ${complaint}")
    endif()
    set(said "${said}" PARENT_SCOPE)
endfunction()

set(object "${STATIC}.o")
run("${NM}" --dynamic --defined-only --format=posix "${BUILT}/liblinkspan.so")
string(REGEX MATCHALL "linkspan_[a-z0-9_]+" symbols "${said}")
list(REMOVE_DUPLICATES symbols)
list(TRANSFORM symbols PREPEND "--undefined=" OUTPUT_VARIABLE wanted)
list(TRANSFORM symbols PREPEND "--keep-global-symbol=" OUTPUT_VARIABLE kept)

# What the symbols need is taken, the rest of the archive is not. Groups are dissolved: the linker would take
# one of two archives' equal groups only, and the other's would miss what is local in ours.
run("${LINKER}" -r --force-group-allocation ${wanted} -o "${object}" "${BUILT}/liblinkspan.a")
# Rust's own bitcode is of no use outside of its compiler, and some versions of ar stumble over it.
run("${OBJCOPY}" ${kept} --remove-section=.llvmbc --remove-section=.llvmcmd "${object}")
file(REMOVE "${STATIC}")
run("${AR}" rcs "${STATIC}" "${object}")
file(REMOVE "${object}")
file(WRITE "${stamp}" "${made_of}")
