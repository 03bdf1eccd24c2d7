# What the binary says of itself: version, commit, compiler and flags. Kept in one small object, so
# that a new commit rebuilds only that.
find_package(Git QUIET)
set(PENDULA_COMMIT "unknown")
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${PROJECT_SOURCE_DIR} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_QUIET)
  if(NOT failed)
    set(PENDULA_COMMIT ${commit})
    if(EXISTS ${PROJECT_SOURCE_DIR}/.git/HEAD)
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
        ${PROJECT_SOURCE_DIR}/.git/HEAD ${PROJECT_SOURCE_DIR}/.git/logs/HEAD)
    endif()
  endif()
endif()
string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
set(PENDULA_BUILD_FLAGS "${CMAKE_BUILD_TYPE}:${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${build_type}}")
string(REGEX REPLACE "  +" " " PENDULA_BUILD_FLAGS "${PENDULA_BUILD_FLAGS}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/version.cpp.in
               ${PROJECT_BINARY_DIR}/generated/version.cpp @ONLY)
add_library(pendula_version OBJECT ${PROJECT_BINARY_DIR}/generated/version.cpp)
target_link_libraries(pendula_version PUBLIC pendula_flags)
