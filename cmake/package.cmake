# `cmake --install` installs the binary, its manual pages and completions, the unit, the user, alerts and dashboard, the
# examples and the documents. deploy/release makes Debian packages of them.
include(GNUInstallDirs)
install(TARGETS headgate RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES deploy/systemd/headgate.service deploy/systemd/headgate.socket DESTINATION lib/systemd/system)
install(FILES deploy/systemd/headgate.sysusers DESTINATION lib/sysusers.d RENAME headgate.conf)
install(FILES deploy/completion/headgate.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME headgate)
install(FILES deploy/completion/_headgate DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES deploy/alerts/headgate.rules.yml DESTINATION ${CMAKE_INSTALL_DATADIR}/headgate/alerts)
install(FILES deploy/grafana/headgate.json DESTINATION ${CMAKE_INSTALL_DATADIR}/headgate/grafana)
install(FILES README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
install(DIRECTORY config/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/config)

# headgate_manual_page(PAGE NAME SECTION): makes NAME.SECTION of docs/PAGE.md, and installs it.
function(headgate_manual_page page name section)
  set(made ${CMAKE_BINARY_DIR}/${name}.${section})
  set(converter ${CMAKE_SOURCE_DIR}/cmake/manual_page.py)
  add_custom_command(
    OUTPUT ${made}
    COMMAND ${Python3_EXECUTABLE} ${converter} ${CMAKE_SOURCE_DIR}/docs/${page}.md ${name} ${section} ${PROJECT_VERSION}
            ${HEADGATE_RELEASED} > ${made}
    DEPENDS docs/${page}.md ${converter}
    COMMENT "Making the manual page ${name}(${section})"
    VERBATIM)
  add_custom_target(manual_${page} ALL DEPENDS ${made})
  install(FILES ${made} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endfunction()

# The image's build has neither Python nor documents: it takes the binary alone.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND AND EXISTS ${CMAKE_SOURCE_DIR}/CHANGELOG.md)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/CHANGELOG.md)
  file(STRINGS CHANGELOG.md heading REGEX "^## \\[${PROJECT_VERSION}\\]" LIMIT_COUNT 1)
  string(REGEX MATCH "[0-9]+-[0-9]+-[0-9]+$" HEADGATE_RELEASED "${heading}")
  headgate_manual_page(commands headgate 1)
  headgate_manual_page(configuration headgate.yaml 5)
endif()
