# The packages that cpack makes of a build:
#
#   cpack -G DEB                              liblinkspan1 and liblinkspan-dev, of a build that was configured
#                                             with -DCMAKE_INSTALL_PREFIX=/usr, as Debian's folders depend on it
#   cpack --config CPackSourceConfig.cmake    the sources
#
# With LINKSPAN_CLI there is a package linkspan, of the component `command`, and with LINKSPAN_APACHE two for Apache,
# libapache2-mod-linkspan and libapache2-mod-linkspan-python, of the components `apache` and `apache_python`.

set(CPACK_PACKAGE_VENDOR "Linkspan developers")
set(CPACK_PACKAGE_CONTACT "Linkspan developers <linkspan@localhost>")

set(CPACK_COMPONENTS_ALL library dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_BUILT_FOR "${CMAKE_INSTALL_PREFIX}")
set(CPACK_PROJECT_CONFIG_FILE "${CMAKE_CURRENT_LIST_DIR}/deb/prefix.cmake")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
# The first line of each description is its title; CPACK_PACKAGE_DESCRIPTION_SUMMARY would be one for all.
set(about "Servers and clients for RFC 6455, with permessage-deflate (RFC 7692),
over an event loop of its own, a loop of yours, or bytes that you move.
")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME liblinkspan1)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA "${CMAKE_CURRENT_LIST_DIR}/deb/triggers")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "WebSocket library for C and C++
${about}
This package has the shared library.")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME liblinkspan-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "liblinkspan1 (= ${PROJECT_VERSION}), libc6-dev")
set(CPACK_COMPONENT_DEV_DESCRIPTION "WebSocket library for C and C++, to build with
${about}
This package has the headers for C and C++, the static library, a CMake
package and linkspan.pc.")

if(LINKSPAN_CLI)
    list(APPEND CPACK_COMPONENTS_ALL command)
    set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME linkspan)
    set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION web)
    set(CPACK_DEBIAN_COMMAND_PACKAGE_SHLIBDEPS ON)
    set(CPACK_COMPONENT_COMMAND_DESCRIPTION "WebSockets from a terminal
Talks to WebSocket servers, and is one: a prompt in a terminal, lines
through pipes, an echo server, and a server of topics.")
endif()

# Apache's modules: what they have in /etc is the administrator's, and removing one disables it, so that Apache starts.
if(LINKSPAN_APACHE)
    # Where dpkg-shlibdeps finds the library of this build.
    set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${linkspan_library_dir}")
    foreach(one ${linkspan_apache_modules})
        list(APPEND CPACK_COMPONENTS_ALL ${one})
        string(TOUPPER ${one} ONE)
        string(REPLACE apache linkspan module ${one})
        string(REPLACE _ - package "libapache2-mod-${module}")
        foreach(script conffiles postinst prerm postrm)
            configure_file(packaging/deb/apache/${script}.in deb/${package}/${script} @ONLY)
            list(APPEND CPACK_DEBIAN_${ONE}_PACKAGE_CONTROL_EXTRA
                "${CMAKE_CURRENT_BINARY_DIR}/deb/${package}/${script}")
        endforeach()
        set(CPACK_DEBIAN_${ONE}_PACKAGE_NAME ${package})
        set(CPACK_DEBIAN_${ONE}_PACKAGE_SECTION httpd)
        set(CPACK_DEBIAN_${ONE}_PACKAGE_SHLIBDEPS ON)
    endforeach()
    set(CPACK_DEBIAN_APACHE_PACKAGE_DEPENDS
        "apache2-api-20120211, apache2-bin (>= 2.4.52), liblinkspan1 (= ${PROJECT_VERSION})")
    set(CPACK_DEBIAN_APACHE_PACKAGE_RECOMMENDS apache2)
    set(CPACK_COMPONENT_APACHE_DESCRIPTION "WebSockets in Apache without a worker for each
Apache's module mod_linkspan: echo, topics, plugins in C and C++, and a
proxy for WebSockets, over ws and wss. \`a2enmod linkspan' enables it.")
    set(CPACK_DEBIAN_APACHE_PYTHON_PACKAGE_DEPENDS "libapache2-mod-linkspan (= ${PROJECT_VERSION})")
    set(CPACK_COMPONENT_APACHE_PYTHON_DESCRIPTION "handler files of mod_pywebsocket in Apache
Apache's module mod_linkspan_python: WebSockets that are served by files
in Python, *_wsh.py. \`a2enmod linkspan_python' enables it.")
endif()

if(LINKSPAN_INSTALL AND CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
    configure_file(packaging/deb/changelog.in changelog @ONLY)
    execute_process(COMMAND gzip -9n --force "${CMAKE_CURRENT_BINARY_DIR}/changelog" RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "gzip ended with ${status}")
    endif()
    set(linkspan_packages "library\\;liblinkspan1" "dev\\;liblinkspan-dev")
    if(LINKSPAN_CLI)
        list(APPEND linkspan_packages "command\\;linkspan")
    endif()
    foreach(one ${linkspan_apache_modules})
        string(TOUPPER ${one} ONE)
        list(APPEND linkspan_packages "${one}\\;${CPACK_DEBIAN_${ONE}_PACKAGE_NAME}")
    endforeach()
    foreach(package IN LISTS linkspan_packages)
        list(GET package 0 component)
        list(GET package 1 name)
        install(FILES "${CMAKE_CURRENT_BINARY_DIR}/changelog.gz" DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${name}"
            COMPONENT ${component})
    endforeach()
endif()

set(CPACK_SOURCE_GENERATOR TGZ)
set(CPACK_SOURCE_PACKAGE_FILE_NAME "linkspan-${PROJECT_VERSION}")
# What .gitignore lists, and this build wherever it is.
set(CPACK_SOURCE_IGNORE_FILES "/[.]git/" "/[.]git$"
    "${PROJECT_SOURCE_DIR}/(target|build|[.]venv|[.]autobahn|node_modules|reports)/" "/__pycache__/" "[.]so$" "[.]egg-info/" "${PROJECT_BINARY_DIR}/")

include(CPack)
