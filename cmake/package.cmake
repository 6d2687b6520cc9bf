# `cmake --install` and `cpack -G DEB` (run in the build folder) install the binary, the unit, the user, an example
# configuration and the documents. The package depends on the libraries with which the binary was linked, so build it on
# the Debian release that it is for.
include(GNUInstallDirs)
install(TARGETS headgate RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES deploy/systemd/headgate.service deploy/systemd/headgate.socket DESTINATION lib/systemd/system)
install(FILES deploy/systemd/headgate.sysusers DESTINATION lib/sysusers.d RENAME headgate.conf)
install(FILES README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
install(DIRECTORY config/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/config)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_CONTACT "The Headgate authors <headgate@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "TLS terminating proxy daemon")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/deploy/debian/postinst)
include(CPack)
