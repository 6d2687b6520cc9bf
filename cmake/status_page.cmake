# headgate_status_page(TARGET): puts src/admin/status_page.html as a string into TARGET.
function(headgate_status_page target)
  set(page ${CMAKE_SOURCE_DIR}/src/admin/status_page.html)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
  file(READ ${page} html)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/status_page_html.cc @ONLY CONTENT
"#include \"admin/status_page_html.h\"

namespace headgate {

const std::string_view kStatusPageHtml = R\"page(@html@)page\";

}  // namespace headgate
")
  target_sources(${target} PRIVATE ${CMAKE_BINARY_DIR}/generated/status_page_html.cc)
endfunction()
