# One GoogleTest binary per tests/*_test.cpp: a change rebuilds and reruns little. The typed tests of
# the programs have one per level of the processor's instructions that can run here.
enable_testing()
find_package(GTest REQUIRED)
include(CheckCXXSourceRuns)
include(GoogleTest)

# What tests share: where things lie, the headers that take longest, and what runs the binary itself.
add_library(pendula_testing STATIC tests/cli_testing.cpp)
target_link_libraries(pendula_testing PUBLIC pendula_core GTest::gtest
  util)  # openpty before glibc 2.34
target_compile_definitions(pendula_testing PUBLIC
  PENDULA_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
  PENDULA_GOLDEN_DIR="${PROJECT_SOURCE_DIR}/tests/golden"
  PENDULA_BINARY="$<TARGET_FILE:pendula>")
target_compile_options(pendula_testing PRIVATE -O1)  # so many tests that compiling is what takes time
# As of the tests, or g++ refuses the precompiled headers: a library's code is -fPIC, a program's -fPIE.
set_target_properties(pendula_testing PROPERTIES POSITION_INDEPENDENT_CODE OFF)
target_precompile_headers(pendula_testing PRIVATE <gtest/gtest.h> <nlohmann/json.hpp> <fmt/format.h>
  <filesystem> <functional> <map> <memory> <optional> <random> <regex> <string> <vector>)

# pendula_add_test(NAME SOURCE [OPTION...]), options for the compiler
function(pendula_add_test name source)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE pendula_testing GTest::gtest_main)
  target_compile_options(${name} PRIVATE -O1 ${ARGN})
  if(NOT ARGN)
    target_precompile_headers(${name} REUSE_FROM pendula_testing)
  endif()
  if(name MATCHES "^bench_")
    target_link_libraries(${name} PRIVATE pendula_bench)
  endif()
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_dependencies(${name} pendula)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
endfunction()

# What this machine can run. Without AVX-512 the vectors of that level, and so its bits, are tested on
# the instructions of AVX2.
check_cxx_source_runs("int main() { return
    __builtin_cpu_supports(\"avx2\") && __builtin_cpu_supports(\"fma\") ? 0 : 1; }" PENDULA_RUNS_avx2)
check_cxx_source_runs("int main() { return
    __builtin_cpu_supports(\"avx512f\") && __builtin_cpu_supports(\"avx512vl\") &&
    __builtin_cpu_supports(\"avx512dq\") && __builtin_cpu_supports(\"avx512bw\") ? 0 : 1; }"
  PENDULA_RUNS_avx512)
list(GET PENDULA_LEVELS 0 test_levels)
set(lowest_level ${test_levels})
set(test_flags_${lowest_level} ${PENDULA_FLAGS_${lowest_level}})
foreach(level IN LISTS PENDULA_LEVELS)
  if(level STREQUAL lowest_level)
    continue()
  elseif(PENDULA_RUNS_${level})
    set(test_flags_${level} ${PENDULA_FLAGS_${level}})
  elseif(level STREQUAL "avx512" AND PENDULA_RUNS_avx2)
    message(STATUS "tests of avx512: on AVX2 instructions, this processor has no AVX-512")
    set(test_flags_${level} ${PENDULA_FLAGS_avx2} -DPENDULA_EMULATE_AVX512 -Wno-psabi)
  else()
    message(STATUS "tests of ${level}: not built, this processor lacks it")
    continue()
  endif()
  list(APPEND test_levels ${level})
endforeach()

file(GLOB PENDULA_TEST_SOURCES CONFIGURE_DEPENDS tests/*_test.cpp)
foreach(source IN LISTS PENDULA_TEST_SOURCES)
  get_filename_component(name ${source} NAME_WE)
  if(name MATCHES "^(kernels|programs|environments)_test$")
    foreach(level IN LISTS test_levels)
      pendula_add_test(${name}_${level} ${source} ${test_flags_${level}})
    endforeach()
  elseif(name STREQUAL "lqr_test" AND PENDULA_RUNS_avx2)  # a whole training
    pendula_add_test(${name} ${source} -O2 ${PENDULA_FLAGS_avx2})
  else()
    pendula_add_test(${name} ${source})
  endif()
endforeach()

# levels_test reads the objects of each level, on a line each: "avx2 OBJECT".
set(lines "")
foreach(level IN LISTS PENDULA_LEVELS)
  get_property(targets GLOBAL PROPERTY PENDULA_LEVEL_TARGETS_${level})
  foreach(target IN LISTS targets)
    string(APPEND lines "${level} $<JOIN:$<TARGET_OBJECTS:${target}>,\n${level} >\n")
  endforeach()
endforeach()
file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/generated/level_objects CONTENT "${lines}")
target_compile_definitions(levels_test PRIVATE
  PENDULA_LEVEL_OBJECTS="${PROJECT_BINARY_DIR}/generated/level_objects"
  PENDULA_NM="${CMAKE_NM}")
