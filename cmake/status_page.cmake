# headgate_status_page(VARIABLE): makes a source that holds src/admin/status_page.html as a string, and sets VARIABLE to
# the name of the source.
function(headgate_status_page variable)
  set(page ${CMAKE_SOURCE_DIR}/src/admin/status_page.html)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
  file(READ ${page} html)
  set(source ${CMAKE_BINARY_DIR}/generated/status_page_html.cc)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
"#include \"admin/status_page_html.h\"

namespace headgate {

const std::string_view kStatusPageHtml = R\"page(@html@)page\";

}  // namespace headgate
")
  set(${variable} ${source} PARENT_SCOPE)
endfunction()
