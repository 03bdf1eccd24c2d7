# One GoogleTest binary per tests/*_test.cpp: a change rebuilds and reruns little.
enable_testing()
find_package(GTest REQUIRED)
include(GoogleTest)

file(GLOB PENDULA_TEST_SOURCES CONFIGURE_DEPENDS tests/*_test.cpp)
foreach(source IN LISTS PENDULA_TEST_SOURCES)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE pendula_core GTest::gtest GTest::gtest_main)
  if(name MATCHES "^bench_")
    target_link_libraries(${name} PRIVATE pendula_bench)
  endif()
  if(name MATCHES "^cli_")  # these run the binary itself
    target_sources(${name} PRIVATE tests/cli_testing.cpp)
    target_link_libraries(${name} PRIVATE util)  # openpty before glibc 2.34
  endif()
  target_compile_definitions(${name} PRIVATE
    PENDULA_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    PENDULA_GOLDEN_DIR="${PROJECT_SOURCE_DIR}/tests/golden"
    PENDULA_BINARY="$<TARGET_FILE:pendula>")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_dependencies(${name} pendula)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
endforeach()
