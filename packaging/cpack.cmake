# The packages that cpack makes of a build: `cpack --config CPackSourceConfig.cmake`, the sources.

set(CPACK_PACKAGE_VENDOR "Linkspan developers")
set(CPACK_PACKAGE_CONTACT "Linkspan developers <linkspan@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "WebSocket library for C and C++, servers and clients")

set(CPACK_SOURCE_GENERATOR TGZ)
set(CPACK_SOURCE_PACKAGE_FILE_NAME "linkspan-${PROJECT_VERSION}")
# What .gitignore lists, and this build wherever it is.
set(CPACK_SOURCE_IGNORE_FILES "/[.]git/" "/[.]git$" "${PROJECT_SOURCE_DIR}/(target|build|[.]venv|[.]autobahn|node_modules|reports)/"
    "/__pycache__/" "[.]so$" "[.]egg-info/" "${PROJECT_BINARY_DIR}/")

include(CPack)
