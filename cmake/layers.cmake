# Every header must compile alone. A header with a source file of its own does, since that file includes it first;
# `all_verify_interface_header_sets`, which is no part of `all`, compiles each of the others.
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)

# A quick build compiles the headers that most layers need once for those with -O2, and once for those with -O1.
if(HEADGATE_QUICK)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/generated/quick.cc CONTENT "")
  foreach(quick quick_hot quick_cold)
    add_library(${quick}_flags INTERFACE)
    target_compile_options(${quick}_flags INTERFACE -g0)
    add_library(${quick} OBJECT ${CMAKE_BINARY_DIR}/generated/quick.cc)
    target_link_libraries(${quick} PRIVATE headgate_flags headgate_expected ${quick}_flags)
    target_precompile_headers(${quick} PRIVATE <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable>
                              <cstring> <deque> <filesystem> <fstream> <functional> <future> <iostream> <list> <map>
                              <memory> <mutex> <optional> <random> <set> <span> <string> <string_view> <system_error>
                              <thread> <tuple> <unordered_map> <unordered_set> <utility> <variant> <vector>
                              <tl/expected.hpp>)
  endforeach()
  target_compile_options(quick_cold_flags INTERFACE -O1)
endif()

# headgate_layer(NAME COLD LINK ... WITHOUT ...): makes one static library of the sources of src/NAME, without the files
# and folders (`folder/`) after WITHOUT. COLD: no connection's way leads through it, so a quick build need not optimise it.
function(headgate_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 layer "COLD" "" "LINK;WITHOUT")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.h)
  foreach(excluded ${layer_WITHOUT})
    list(FILTER sources EXCLUDE REGEX "^${CMAKE_SOURCE_DIR}/src/${name}/${excluded}")
    list(FILTER headers EXCLUDE REGEX "^${CMAKE_SOURCE_DIR}/src/${name}/${excluded}")
  endforeach()
  if(NOT sources)
    add_library(${name} INTERFACE)
    list(TRANSFORM layer_LINK REPLACE "^(PUBLIC|PRIVATE)$" "INTERFACE")
    target_link_libraries(${name} ${layer_LINK})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  set(without_source)
  foreach(header ${headers})
    string(REGEX REPLACE "\\.h$" ".cc" source ${header})
    if(NOT source IN_LIST sources)
      list(APPEND without_source ${header})
    endif()
  endforeach()
  target_sources(${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR}/src FILES ${without_source})
  target_link_libraries(${name} PUBLIC headgate_flags ${layer_LINK})
  if(HEADGATE_QUICK)
    set(quick quick_hot)
    if(layer_COLD)
      set(quick quick_cold)
    endif()
    target_link_libraries(${name} PRIVATE ${quick}_flags)
    target_precompile_headers(${name} REUSE_FROM ${quick})
  endif()
endfunction()
