# Every header must compile alone: `all_verify_interface_header_sets` compiles each, and is no part of `all`.
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
  target_sources(${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR}/src FILES ${headers})
  target_link_libraries(${name} PUBLIC headgate_flags ${layer_LINK})
endfunction()
