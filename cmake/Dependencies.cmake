# Everything that clipcu links, gathered in the interface target clipcu_deps. A missing library is
# named together with the Debian package that has it.

add_library(clipcu_deps INTERFACE)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
target_link_libraries(clipcu_deps INTERFACE Threads::Threads OpenMP::OpenMP_C m)

# header library package -> links it or stops with a hint
function(clipcu_require header library package)
    find_path(CLIPCU_${library}_INCLUDE ${header})
    find_library(CLIPCU_${library}_LIBRARY NAMES ${library})
    mark_as_advanced(CLIPCU_${library}_INCLUDE CLIPCU_${library}_LIBRARY)
    if(NOT CLIPCU_${library}_INCLUDE OR NOT CLIPCU_${library}_LIBRARY)
        message(FATAL_ERROR "clipcu needs <${header}> and lib${library}: "
                            "install ${package} (make deps does it on Debian and Ubuntu)")
    endif()
    target_include_directories(clipcu_deps SYSTEM INTERFACE ${CLIPCU_${library}_INCLUDE})
    target_link_libraries(clipcu_deps INTERFACE ${CLIPCU_${library}_LIBRARY})
endfunction()

clipcu_require(dnnl.h dnnl libdnnl-dev)
clipcu_require(cjson/cJSON.h cjson libcjson-dev)
clipcu_require(utf8proc.h utf8proc libutf8proc-dev)
clipcu_require(jpeglib.h jpeg libjpeg-dev)
clipcu_require(png.h png libpng-dev)
clipcu_require(gif_lib.h gif libgif-dev)
clipcu_require(webp/demux.h webpdemux libwebp-dev)
clipcu_require(webp/decode.h webp libwebp-dev)
clipcu_require(zlib.h z zlib1g-dev)
clipcu_require(archive.h archive libarchive-dev)
