# Installs BUILD, and moves what was installed to PREFIX.

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")
file(REMOVE_RECURSE "${PREFIX}" "${PREFIX}-before")
run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${PREFIX}-before")
file(RENAME "${PREFIX}-before" "${PREFIX}")
