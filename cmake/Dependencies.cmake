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
clipcu_require(zlib.h z zlib1g-dev)

# libjpeg-turbo decodes JPEG two to three times faster than stb_image and with Pillow's pixels.
find_path(CLIPCU_JPEG_INCLUDE jpeglib.h)
find_library(CLIPCU_JPEG_LIBRARY NAMES jpeg)
if(CLIPCU_JPEG_INCLUDE AND CLIPCU_JPEG_LIBRARY)
    set(CLIPCU_HAVE_JPEG ON)
    target_compile_definitions(clipcu_deps INTERFACE CCU_HAVE_JPEG=1)
    target_include_directories(clipcu_deps SYSTEM INTERFACE ${CLIPCU_JPEG_INCLUDE})
    target_link_libraries(clipcu_deps INTERFACE ${CLIPCU_JPEG_LIBRARY})
else()
    set(CLIPCU_HAVE_JPEG OFF)
endif()

find_path(CLIPCU_STB_INCLUDE stb_image.h PATH_SUFFIXES stb)
if(NOT CLIPCU_STB_INCLUDE)
    message(FATAL_ERROR "clipcu needs <stb_image.h>: install libstb-dev (make deps does it)")
endif()
target_include_directories(clipcu_deps SYSTEM INTERFACE ${CLIPCU_STB_INCLUDE})

# CUDA is detected; without it everything still builds.
find_program(CLIPCU_NVCC nvcc PATHS /usr/local/cuda/bin)
mark_as_advanced(CLIPCU_JPEG_INCLUDE CLIPCU_JPEG_LIBRARY CLIPCU_STB_INCLUDE CLIPCU_NVCC)
