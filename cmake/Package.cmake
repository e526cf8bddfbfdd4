# `make package`: a .deb of everything that `cmake --install` installs.
#
# It runs on every processor of its architecture: nothing in it is compiled for the machine that
# built it. On x86-64 the command and the library come a second time, compiled for AVX2 (x86-64-v3),
# and are taken where the processor has it: the library by the system's loader (glibc-hwcaps), the
# command by itself (host/cli/self.h).
if(CLIPCU_NATIVE OR NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr" OR NOT TARGET clipcu_docs)
    message(FATAL_ERROR "a package is configured with -DCLIPCU_NATIVE=OFF "
                        "-DCMAKE_INSTALL_PREFIX=/usr, with the command, not across: make package")
endif()
set(CLIPCU_MAINTAINER "clipcu maintainers <maintainers@clipcu.invalid>" CACHE STRING
    "Name <address> of who answers for the package")
set(packed "${PROJECT_BINARY_DIR};clipcu;ALL;/")

# ---- The same for AVX2 ------------------------------------------------------------------------
# CLIPCU_AVX2_OF is set in the second build alone.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT CLIPCU_AVX2_OF)
    include(ExternalProject)
    ExternalProject_Add(clipcu_avx2
        SOURCE_DIR ${PROJECT_SOURCE_DIR}
        BINARY_DIR ${PROJECT_BINARY_DIR}/avx2
        STAMP_DIR ${PROJECT_BINARY_DIR}/avx2-stamp
        TMP_DIR ${PROJECT_BINARY_DIR}/avx2-stamp
        CMAKE_ARGS -DCMAKE_C_FLAGS=${CMAKE_C_FLAGS}\ -march=x86-64-v3
            -DCMAKE_C_COMPILER=${CMAKE_C_COMPILER} -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE}
            -DCMAKE_INSTALL_PREFIX=/usr
            -DCMAKE_INSTALL_BINDIR=libexec/clipcu
            -DCMAKE_INSTALL_LIBDIR=${CMAKE_INSTALL_LIBDIR}/glibc-hwcaps/x86-64-v3
            -DCLIPCU_CUDA=${CLIPCU_CUDA} -DCLIPCU_NATIVE=OFF -DCLIPCU_TESTS=OFF
            -DCLIPCU_PACKAGE=ON -DCLIPCU_AVX2_OF=${PROJECT_BINARY_DIR}
        BUILD_ALWAYS ON
        INSTALL_COMMAND "")
    list(APPEND packed "${PROJECT_BINARY_DIR}/avx2;clipcu;runtime;/")
    file(RELATIVE_PATH avx2 ${CMAKE_INSTALL_FULL_BINDIR} /usr/libexec/clipcu/clipcu)
    target_compile_definitions(clipcu_cli PRIVATE CLIPCU_AVX2_SELF="${avx2}")
endif()

# ---- What Debian wants besides ----------------------------------------------------------------
set(debian ${PROJECT_BINARY_DIR}/debian)
configure_file(cmake/debian/changelog.in ${debian}/changelog @ONLY)
# Who is linked with the library needs this package; the loader's cache is renewed.
set(soversion ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
file(WRITE ${debian}/shlibs "libclipcu ${soversion} clipcu (>= ${PROJECT_VERSION})\n")
file(WRITE ${debian}/triggers "activate-noawait ldconfig\n")
# Compressed, without the times that would make every build another (-n).
add_custom_target(clipcu_package_pages ALL VERBATIM DEPENDS clipcu_pages
    COMMAND gzip -9nc ${PROJECT_BINARY_DIR}/share/man/man1/clipcu.1 > ${debian}/clipcu.1.gz
    COMMAND gzip -9nc ${debian}/changelog > ${debian}/changelog.gz)
install(FILES ${debian}/clipcu.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${debian}/changelog.gz cmake/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})

# ---- cpack ------------------------------------------------------------------------------------
set(CPACK_GENERATOR DEB)
set(CPACK_INSTALL_CMAKE_PROJECTS "${packed}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_CONTACT "${CLIPCU_MAINTAINER}")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${debian}/shlibs ${debian}/triggers)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "classify, embed and search pictures with words (CLIP)")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"clipcu runs CLIP models, which map pictures and texts to vectors of one
space. It says which of your words fit a picture best, saves embeddings and
searches them, on the CPU or on CUDA devices, with models as Hugging Face and
open_clip publish them.
.
This package holds the command, the C library with its header, and a small
demo model, which was trained on emoji.")
include(CPack)
