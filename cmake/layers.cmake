# Every header must compile alone. A header with a source file of its own does, since that file includes it first;
# `all_verify_interface_header_sets`, which is no part of `all`, compiles each of the others.
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)

# headgate_layer(NAME LINK ... WITHOUT ...): makes one static library of the sources of src/NAME, without the files
# after WITHOUT.
function(headgate_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 layer "" "" "LINK;WITHOUT")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  list(TRANSFORM layer_WITHOUT PREPEND ${CMAKE_SOURCE_DIR}/src/${name}/)
  list(REMOVE_ITEM sources ${layer_WITHOUT})
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.h)
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
endfunction()
