# The CUDA backend, as the interface target clipcu_cuda: kernels/*.cu where nvcc is at hand, else
# kernels/no_cuda.c, which implements the same header and refuses to open.
#
# CMAKE_CUDA_ARCHITECTURES is the usual variable; without it one binary gets code for Ampere, Ada
# and Hopper, and PTX that later chips compile when they first load it.

set(CLIPCU_CUDA AUTO CACHE STRING "Build the CUDA backend: AUTO (if nvcc is found), ON or OFF")
set_property(CACHE CLIPCU_CUDA PROPERTY STRINGS AUTO ON OFF)
set(CLIPCU_CUDA_BUILT OFF)
set(CLIPCU_CUDA_SUMMARY "off (CLIPCU_CUDA=OFF)")
set(CLIPCU_CUDA_ARCHITECTURES_DEFAULT 80-real 86-real 89-real 90a-real 90-virtual)
set(CLIPCU_NVCC_MIN 12.0)

# clipcu_find_cuda() enables the language, or says in CLIPCU_CUDA_SUMMARY why not.
macro(clipcu_find_cuda)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
        set(CMAKE_CUDA_ARCHITECTURES ${CLIPCU_CUDA_ARCHITECTURES_DEFAULT})
    endif()
    find_program(CLIPCU_NVCC nvcc HINTS ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda
                 PATH_SUFFIXES bin)
    mark_as_advanced(CLIPCU_NVCC)
    if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX} AND CLIPCU_NVCC)
        set(CMAKE_CUDA_COMPILER ${CLIPCU_NVCC})
    endif()
    if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
        set(CLIPCU_CUDA_SUMMARY "nvcc not found: CPU backend only")
    else()
        # Tried apart first: enable_language stops everything where nvcc has no C++ compiler.
        include(CheckLanguage)
        check_language(CUDA)
        if(NOT CMAKE_CUDA_COMPILER)
            set(CLIPCU_CUDA_SUMMARY "nvcc is there but compiles nothing (it needs a C++ compiler \
it knows: see CMAKE_CUDA_HOST_COMPILER): CPU backend only")
        else()
            enable_language(CUDA)
            if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS CLIPCU_NVCC_MIN)
                set(CLIPCU_CUDA_SUMMARY "nvcc ${CMAKE_CUDA_COMPILER_VERSION} is too old \
(${CLIPCU_NVCC_MIN} or later is needed): CPU backend only")
            else()
                find_package(CUDAToolkit ${CLIPCU_NVCC_MIN} REQUIRED)
                set(CLIPCU_CUDA_BUILT ON)
            endif()
        endif()
    endif()
endmacro()

# The kernels themselves meet the sanitizers in the emulator; nvcc's host code does not.
if(CLIPCU_CUDA STREQUAL "AUTO" AND CLIPCU_SANITIZE)
    set(CLIPCU_CUDA_SUMMARY "off in a build with sanitizers (CLIPCU_CUDA=ON overrules)")
elseif(CLIPCU_CUDA)
    clipcu_find_cuda()
    if(NOT CLIPCU_CUDA_BUILT AND NOT CLIPCU_CUDA STREQUAL "AUTO")
        message(FATAL_ERROR "CLIPCU_CUDA=${CLIPCU_CUDA}: ${CLIPCU_CUDA_SUMMARY}")
    endif()
endif()

# clipcu_cuda_objects(name sources...) -> an object library of clipcu_cuda
function(clipcu_cuda_objects name)
    add_library(${name} OBJECT ${ARGN})
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON
                          C_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden
                          CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_RUNTIME_LIBRARY Static)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/kernels
                               ${PROJECT_SOURCE_DIR}/host ${PROJECT_SOURCE_DIR}/include)
    target_compile_definitions(${name} PRIVATE _POSIX_C_SOURCE=200809L)
    # No C++ runtime: nothing throws, and kernels are launched by cudaLaunchKernelEx, so that the
    # local statics of nvcc's own launch stubs never run.
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra
        -Xcompiler=-fno-exceptions,-fno-rtti,-fno-threadsafe-statics
        $<$<BOOL:${CLIPCU_WERROR}>:SHELL:-Werror all-warnings>>)
    target_sources(clipcu_cuda INTERFACE $<TARGET_OBJECTS:${name}>)
endfunction()

add_library(clipcu_cuda INTERFACE)
if(CLIPCU_CUDA_BUILT)
    file(GLOB CLIPCU_KERNELS CONFIGURE_DEPENDS kernels/*.cu)
    # wgmma is Hopper's alone: one file, one architecture.
    set(CLIPCU_HOPPER_KERNELS ${CLIPCU_KERNELS})
    list(FILTER CLIPCU_HOPPER_KERNELS INCLUDE REGEX "wgmma\\.cu$")
    list(FILTER CLIPCU_KERNELS EXCLUDE REGEX "wgmma\\.cu$")
    clipcu_cuda_objects(clipcu_kernels ${CLIPCU_KERNELS})
    if("${CMAKE_CUDA_ARCHITECTURES}" MATCHES "90a")
        clipcu_cuda_objects(clipcu_hopper_kernels ${CLIPCU_HOPPER_KERNELS})
        set_property(TARGET clipcu_hopper_kernels PROPERTY CUDA_ARCHITECTURES 90a-real)
    else()
        target_compile_definitions(clipcu_kernels PRIVATE CCU_NO_WGMMA=1)
    endif()
    target_link_libraries(clipcu_cuda INTERFACE CUDA::cudart_static)
    string(REPLACE ";" " " CLIPCU_CUDA_SUMMARY "${CMAKE_CUDA_ARCHITECTURES}")
    set(CLIPCU_CUDA_SUMMARY "nvcc ${CMAKE_CUDA_COMPILER_VERSION}, ${CLIPCU_CUDA_SUMMARY}")
else()
    clipcu_cuda_objects(clipcu_kernels kernels/no_cuda.c)
endif()
