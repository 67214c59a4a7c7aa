# What `cmake --install` puts where, in the parts that become Debian packages: library, dev. With --strip it
# leaves out what only debuggers read.

include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/linkspan")
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
# Everything finds everything from where it stands itself, so that a prefix may be moved.
file(RELATIVE_PATH pkgconfig_to_prefix "/prefix/${pkgconfig_dir}" "/prefix")
configure_package_config_file(packaging/linkspanConfig.cmake.in linkspanConfig.cmake
    INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(linkspanConfigVersion.cmake COMPATIBILITY SameMajorVersion)
configure_file(packaging/linkspan.pc.in linkspan.pc @ONLY)

install(FILES "${shared}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library)
install(FILES "${link}" "${static}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT dev)
install(FILES include/linkspan.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev)
install(DIRECTORY bindings/cpp/ DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev
    FILES_MATCHING PATTERN "*.hpp" PATTERN tests EXCLUDE)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/linkspanConfig.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/linkspanConfigVersion.cmake" packaging/linkspanTargets.cmake
    DESTINATION "${package_dir}" COMPONENT dev)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/linkspan.pc" DESTINATION "${pkgconfig_dir}" COMPONENT dev)

set(copyright "${CMAKE_CURRENT_BINARY_DIR}/copyright")
add_custom_command(OUTPUT "${copyright}"
    COMMAND "${CMAKE_COMMAND}" "-DCARGO=${LINKSPAN_CARGO}" -DPACKAGE=linkspan-ffi "-DFEATURES=${features}"
            "-DROOT=${CMAKE_CURRENT_SOURCE_DIR}" "-DOUTPUT=${copyright}"
            -P "${CMAKE_CURRENT_SOURCE_DIR}/packaging/copyright.cmake"
    DEPENDS packaging/copyright.cmake packaging/copyright.txt Cargo.lock LICENSE-MIT
    COMMENT "Gathering the licences of what is in the library" VERBATIM)
add_custom_target(linkspan_copyright ALL DEPENDS "${copyright}")
# Cargo has fetched the crates by then.
add_dependencies(linkspan_copyright linkspan_build)
foreach(package "library;liblinkspan1" "dev;liblinkspan-dev")
    list(GET package 0 component)
    list(GET package 1 name)
    install(FILES "${copyright}" DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${name}" COMPONENT ${component})
endforeach()

foreach(stripped "library;--strip-unneeded;liblinkspan.so.1" "dev;--strip-debug;liblinkspan.a")
    list(GET stripped 0 component)
    list(GET stripped 1 option)
    list(GET stripped 2 file)
    install(CODE "
        if(CMAKE_INSTALL_DO_STRIP)
            execute_process(COMMAND \"${CMAKE_STRIP}\" ${option}
                \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/${file}\" RESULT_VARIABLE status)
            if(NOT status EQUAL 0)
                message(FATAL_ERROR \"${file} can not be stripped: \${status}\")
            endif()
        endif()" COMPONENT ${component})
endforeach()
