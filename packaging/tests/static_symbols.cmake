# The static library's global symbols are those that the shared one exports, so that it can be linked beside
# other libraries that are written in Rust.

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")
file(STRINGS "${LIST}" listed)
run("${NM}" --extern-only --defined-only --format=just-symbols "${STATIC}")
string(REGEX MATCHALL "[^\n]+" symbols "${said}")
list(FILTER symbols EXCLUDE REGEX ":$")
list(SORT symbols)
list(SORT listed)
if(NOT symbols STREQUAL listed)
    message(FATAL_ERROR "liblinkspan.a offers:\n${symbols}\nand the list is:\n${listed}")
endif()
