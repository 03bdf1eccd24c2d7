# Tests of the CUDA backend: one GoogleTest binary per tests/cuda/*_test.{cpp,cu}. They need a GPU, or
# the simulator: -DPENDULA_CUDA_LAUNCHER=.../cudasim-run.
set(PENDULA_CUDA_LAUNCHER "" CACHE STRING "Program that runs the CUDA tests; empty: none, a GPU")
enable_testing()
find_package(GTest REQUIRED)

file(GLOB cuda_tests CONFIGURE_DEPENDS tests/cuda/*_test.cpp tests/cuda/*_test.cu)
foreach(source IN LISTS cuda_tests)
  get_filename_component(name ${source} NAME_WE)
  set(name cuda_${name})
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE pendula_cuda_objects pendula_core
    GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE
    PENDULA_GOLDEN_DIR="${PROJECT_SOURCE_DIR}/tests/golden"
    PENDULA_CUDA_PLUGIN_FILE="$<TARGET_FILE:pendula_cuda>")
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests
    CUDA_ARCHITECTURES "${PENDULA_CUDA_ARCHITECTURES}"
    LINKER_LANGUAGE CXX)
  add_dependencies(${name} pendula_cuda)
  add_test(NAME ${name} COMMAND ${PENDULA_CUDA_LAUNCHER} $<TARGET_FILE:${name}>
           WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
endforeach()

# calls_test counts the runtime's calls.
foreach(call cudaGraphLaunch cudaMemcpy cudaMemcpyAsync __cudaLaunchKernel cudaStreamSynchronize
             cudaDeviceSynchronize cudaEventSynchronize)
  target_link_options(cuda_calls_test PRIVATE -Wl,--wrap=${call})
endforeach()
