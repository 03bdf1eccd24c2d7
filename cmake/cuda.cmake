# The CUDA plug-in: built where nvcc is found, else left out with a sentence.
#
#   pendula_cuda_objects  the backend and the programs of every environment; tests link it
#   pendula_cuda          libpendula_cuda.so, what pendula opens at run time
#
# For the simulator: -DPENDULA_CUDA_ARCHITECTURES=90-virtual (PTX only).
set(PENDULA_CUDA_ARCHITECTURES "80-real;90-real;100-real;120-real;120-virtual" CACHE STRING
  "What the plug-in is compiled for: machine code, and PTX for what comes later")

# What must agree between pendula and its plug-in: every type that crosses.
set(build_id_text "${PROJECT_VERSION}")
foreach(header bench/probe.h host/backend.h host/config.h host/cuda_loader.h host/cuda/plugin.h host/device_plan.h
               host/error.h host/grid_plan.h host/program_memory.h host/tensor_table.h kernels/block_memory.h kernels/choices.h
               kernels/grid_layout.h kernels/plan.h kernels/report.h kernels/tile_layout.h)
  file(READ ${PROJECT_SOURCE_DIR}/${header} text)
  string(APPEND build_id_text "${text}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${header})
endforeach()
string(SHA256 build_id "${build_id_text}")
string(SUBSTRING ${build_id} 0 12 build_id)
set(PENDULA_BUILD_ID "${PROJECT_VERSION} ${build_id}")
set_property(SOURCE ${PROJECT_SOURCE_DIR}/host/cuda_loader.cpp APPEND PROPERTY
  COMPILE_DEFINITIONS "PENDULA_BUILD_ID=\"${PENDULA_BUILD_ID}\"")

set(PENDULA_HAS_CUDA OFF)
if(PENDULA_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 90-virtual)  # of the compiler check alone
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit 13 REQUIRED)
    set(PENDULA_HAS_CUDA ON)
  else()
    message(STATUS "nvcc was not found: pendula is built without its CUDA plug-in")
  endif()
endif()

if(PENDULA_HAS_CUDA)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
  set(CMAKE_CUDA_STANDARD 20)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has it
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()

  # Multiply-adds are fused only where the source says so, as on the CPU.
  add_library(pendula_cuda_flags INTERFACE)
  target_compile_options(pendula_cuda_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CUDA>:-fmad=false --expt-relaxed-constexpr -Werror=all-warnings
      -Xcompiler=-Wall,-Wextra,-Wno-restrict,-ffp-contract=off>)
  target_link_libraries(pendula_cuda_flags INTERFACE CUDA::cudart)

  set(sources host/cuda/backend.cpp host/cuda/check.cpp host/cuda/grid_programs.cu host/cuda/plugin.cpp
    host/cuda/programs.cpp host/cuda/rank.cu
    bench/cuda/arithmetic_probes.cu bench/cuda/barrier_probes.cu bench/cuda/gpu_probe.cpp
    bench/cuda/graph_probes.cu bench/cuda/machine.cpp bench/cuda/memory_probes.cu
    bench/cuda/product_probes.cpp)
  foreach(env IN LISTS PENDULA_ENV_NAMES)
    foreach(kind kFfma kTf32)
      set(source ${PROJECT_BINARY_DIR}/generated/cuda_${env}_${kind}.cu)
      file(CONFIGURE OUTPUT ${source} CONTENT
        "#include \"envs/list.h\"\n#include \"host/cuda/programs_impl.h\"\n\nPENDULA_CUDA_PROGRAMS(@env@, @kind@)\n"
        @ONLY)
      list(APPEND sources ${source})
    endforeach()
  endforeach()
  add_library(pendula_cuda_objects OBJECT ${sources})
  target_link_libraries(pendula_cuda_objects PUBLIC pendula_flags pendula_cuda_flags
    nlohmann_json::nlohmann_json)
  target_compile_definitions(pendula_cuda_objects PRIVATE
    "PENDULA_BUILD_ID=\"${PENDULA_BUILD_ID}\"")
  # Device code holds the tiles of its own kind of GPU. Compiled for one, it is for tests, of all kinds.
  list(LENGTH PENDULA_CUDA_ARCHITECTURES architectures)
  if(PENDULA_TESTS AND architectures EQUAL 1)
    target_compile_definitions(pendula_cuda_objects PUBLIC PENDULA_ALL_TILES)
  endif()
  set_target_properties(pendula_cuda_objects PROPERTIES
    CUDA_ARCHITECTURES "${PENDULA_CUDA_ARCHITECTURES}"
    CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)

  add_library(pendula_cuda SHARED)
  target_link_libraries(pendula_cuda PRIVATE pendula_cuda_objects pendula_core)
  set_target_properties(pendula_cuda PROPERTIES
    LINKER_LANGUAGE CXX
    BUILD_RPATH "${CUDAToolkit_LIBRARY_DIR}"
    INSTALL_RPATH "$ORIGIN"
    LINK_OPTIONS "-Wl,--enable-new-dtags;-Wl,--exclude-libs,ALL;-Wl,--no-undefined")

  if(PENDULA_TESTS)
    include(cmake/cuda_tests.cmake)
  endif()
endif()
