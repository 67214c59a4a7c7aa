# The targets linkspan::linkspan (shared), linkspan::static, and linkspan::cpp (shared, for the C++ headers), of
# what is in linkspan_library_dir and linkspan_include_dirs: a build or an installed prefix.

add_library(linkspan::linkspan SHARED IMPORTED)
set_target_properties(linkspan::linkspan PROPERTIES
    IMPORTED_LOCATION "${linkspan_library_dir}/liblinkspan.so.1"
    IMPORTED_SONAME liblinkspan.so.1
    INTERFACE_INCLUDE_DIRECTORIES "${linkspan_include_dirs}")

add_library(linkspan::static STATIC IMPORTED)
set_target_properties(linkspan::static PROPERTIES
    IMPORTED_LOCATION "${linkspan_library_dir}/liblinkspan.a"
    INTERFACE_INCLUDE_DIRECTORIES "${linkspan_include_dirs}"
    INTERFACE_LINK_LIBRARIES "-pthread;dl;m")

add_library(linkspan::cpp INTERFACE IMPORTED)
set_target_properties(linkspan::cpp PROPERTIES
    INTERFACE_COMPILE_FEATURES cxx_std_17
    INTERFACE_LINK_LIBRARIES linkspan::linkspan)
