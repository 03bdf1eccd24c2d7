# The CMakeLists.txt of scripts/mutate's copy of the tree: the tests of kernels/ and envs/ at one level
# of instructions, the sources of host/ that they link, and nothing else.
cmake_minimum_required(VERSION 3.22)
project(pendula_mutants LANGUAGES CXX)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
find_package(GTest REQUIRED)
find_package(nlohmann_json 3.10 REQUIRED)
include(CheckCXXSourceRuns)
include(cmake/levels.cmake)

list(GET PENDULA_LEVELS 0 level)
check_cxx_source_runs("int main() { return
    __builtin_cpu_supports(\"avx2\") && __builtin_cpu_supports(\"fma\") ? 0 : 1; }" PENDULA_RUNS_avx2)
if(PENDULA_RUNS_avx2)
  set(level avx2)
endif()

# -w: what a mutant leaves unused is no news.
add_compile_options(-O1 -w -ffp-contract=off -fno-math-errno ${PENDULA_FLAGS_${level}}
  "SHELL:-include mutant.h")
include_directories(${PROJECT_SOURCE_DIR})
file(GLOB sources host/*.cpp)
# No test here has values per agent, which would need the config's reader.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/agent_values.cpp CONTENT
  "#include \"host/agent_values.h\"\npendula::Config pendula::agent_config(const Config&, int64_t) { throw 0; }\n")
add_library(host OBJECT ${sources} ${PROJECT_BINARY_DIR}/agent_values.cpp)
file(GLOB tests tests/*_test.cpp)
foreach(source IN LISTS tests)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE host nlohmann_json::nlohmann_json GTest::gtest
    GTest::gtest_main)
endforeach()
