# Unverified: no vcpkg was at hand when this port was written. It builds the checkout that it is part of, with the
# cargo that is installed:
#
#   vcpkg install linkspan --overlay-ports=packaging/vcpkg/ports

get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS features FEATURES
    tls LINKSPAN_TLS
    deflate LINKSPAN_DEFLATE)
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS ${features} -DLINKSPAN_EXAMPLES=OFF -DLINKSPAN_TESTS=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/linkspan)
vcpkg_fixup_pkgconfig()

file(GLOB docs "${CURRENT_PACKAGES_DIR}/share/doc/liblinkspan-dev/copyright")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE-MIT" "${SOURCE_PATH}/LICENSE-APACHE" ${docs})
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share"
    "${CURRENT_PACKAGES_DIR}/share/doc")
foreach(lib "${CURRENT_PACKAGES_DIR}/lib" "${CURRENT_PACKAGES_DIR}/debug/lib")
    if(VCPKG_LIBRARY_LINKAGE STREQUAL "static")
        file(REMOVE "${lib}/liblinkspan.so" "${lib}/liblinkspan.so.1")
    else()
        file(REMOVE "${lib}/liblinkspan.a")
    endif()
endforeach()
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
