# Read by cpack: a Debian package of a build for another prefix would put the library where Debian does not look.
if(CPACK_GENERATOR STREQUAL "DEB" AND NOT CPACK_BUILT_FOR STREQUAL "/usr")
    message(FATAL_ERROR "this build is for ${CPACK_BUILT_FOR}; a Debian package needs one that was"
        " configured with -DCMAKE_INSTALL_PREFIX=/usr")
endif()
