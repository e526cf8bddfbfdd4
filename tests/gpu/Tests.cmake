# What `make test` runs of tests/gpu, on the emulator; included by tests/emu/CMakeLists.txt.
#
#   conformance  the emulator still gives what is stored, in each of its builds
#   gpu_bench    runs at all: one small case of each op
#
# gpu_golden and gpu_agree do with the device what test_golden and test_emu_agree do here.
set(gpu ${PROJECT_SOURCE_DIR}/tests/gpu)
file(GLOB conformance CONFIGURE_DEPENDS ${gpu}/conformance*.cu)
file(GLOB bench CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/gpu_*.c)
set_source_files_properties(${conformance} ${gpu}/inside.cu PROPERTIES LANGUAGE CXX)

# gpu_program(name build sources...): with the build's kernels and emulator, as test_emu_* have it
function(gpu_program name build)
    add_executable(${name} ${ARGN} $<TARGET_OBJECTS:emu_kernels_${build}>
                                   $<TARGET_OBJECTS:emu_runtime_${build}>)
    target_link_libraries(${name} PRIVATE clipcu_objects ${CMAKE_DL_LIBS})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_options(${name} PRIVATE ${link_options_${build}})
    if(OpenMP_CXX_FOUND)
        target_link_libraries(${name} PRIVATE OpenMP::OpenMP_CXX)
    endif()
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
endfunction()

foreach(build ${builds})
    emu_objects(conformance_kernels_${build} ${conformance})
    target_compile_options(conformance_kernels_${build} PRIVATE ${kernel_options_${build}})
    gpu_program(conformance_${build} ${build} ${gpu}/conformance.c ${gpu}/conformance_main.c
                $<TARGET_OBJECTS:conformance_kernels_${build}>)
    emu_test(emu_conformance_simt_${build} ${build} emu "" conformance simt
             ${gpu}/conformance.golden)
    emu_test(emu_conformance_hopper_${build} ${build} emu "" conformance hopper
             ${gpu}/conformance_hopper.golden)
endforeach()

emu_objects(gpu_inside ${gpu}/inside.cu)
target_compile_options(gpu_inside PRIVATE ${kernel_options_plain})
gpu_program(gpu_bench_plain plain ${bench} $<TARGET_OBJECTS:gpu_inside>)
emu_test(emu_gpu_bench plain emu "" gpu_bench --tiny all)
