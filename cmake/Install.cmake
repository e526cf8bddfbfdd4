# `cmake --install`: library, header, command with its manual page and completions, demo model,
# find_package(clipcu) and pkg-config.
include(CMakePackageConfigHelpers)

# What a program needs to run is the component "runtime".
install(TARGETS clipcu EXPORT clipcuTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
                NAMELINK_COMPONENT development
        PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(CLIPCU_CLI)
    install(TARGETS clipcu_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
    if(TARGET clipcu_docs)
        set(without "")
        if(CLIPCU_PACKAGE)
            set(without PATTERN *.1 EXCLUDE) # a package has it compressed
        endif()
        install(DIRECTORY ${PROJECT_BINARY_DIR}/share/ DESTINATION ${CMAKE_INSTALL_DATADIR}
                ${without})
    endif()
endif()
install(DIRECTORY weights/demo DESTINATION ${CMAKE_INSTALL_DATADIR}/clipcu)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT clipcuTargets NAMESPACE clipcu:: FILE clipcuTargets.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/clipcu)
configure_package_config_file(cmake/clipcuConfig.cmake.in
                              ${CMAKE_CURRENT_BINARY_DIR}/clipcuConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/clipcu)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/clipcuConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/clipcuConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/clipcuConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/clipcu)

# The prefix is found from where the file lies, so that `cmake --install --prefix` may change it.
file(RELATIVE_PATH pkgconfig_to_prefix "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig"
                                       "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" pkgconfig_to_prefix "${pkgconfig_to_prefix}")
configure_file(cmake/clipcu.pc.in ${CMAKE_CURRENT_BINARY_DIR}/clipcu.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/clipcu.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
