# Every binary is hardened: PIE, full RELRO, stack protector, fortified libc calls, checked standard containers.
# tests/lint/test_hardening.py looks at the binary for each of them.
add_library(headgate_flags INTERFACE)
target_include_directories(headgate_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(headgate_flags INTERFACE HEADGATE_VERSION="${PROJECT_VERSION}" _GLIBCXX_ASSERTIONS)
# A newer compiler, or more optimisation, may warn of correct code. That must not keep a user from building, so only
# HEADGATE_WERROR makes errors of warnings.
target_compile_options(headgate_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${HEADGATE_WERROR}>:-Werror>
                       -fstack-protector-strong -fstack-clash-protection -fno-omit-frame-pointer -fno-plt)
target_link_options(headgate_flags INTERFACE -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  target_compile_options(headgate_flags INTERFACE -fcf-protection=full)
endif()

# At -O3 g++ 12 reports overlapping copies in its own std::string (its bug 105651).
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(headgate_flags INTERFACE -Wno-restrict)
endif()

# clang reports deprecated names that libstdc++ 12 uses in its own headers, in std::stable_sort for one.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(headgate_flags INTERFACE -Wno-deprecated-declarations)
endif()

# In a joined source g++ takes the private names of a .cc file for those of a header. Test programs are always joined.
set(joined)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(joined -Wno-subobject-linkage)
endif()
if(CMAKE_UNITY_BUILD OR HEADGATE_QUICK)
  target_compile_options(headgate_flags INTERFACE ${joined})
endif()

# A sanitizer intercepts the libc calls that _FORTIFY_SOURCE would replace, so a build has one or the other. Debug
# builds do not optimise, and fortifying needs optimisation.
set(sanitizers ${HEADGATE_SANITIZE})
if(HEADGATE_FUZZ)
  set(sanitizers address,undefined)
  target_compile_options(headgate_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(sanitizers)
  target_compile_options(headgate_flags INTERFACE -U_FORTIFY_SOURCE -fsanitize=${sanitizers} -fno-sanitize-recover=all)
  target_link_options(headgate_flags INTERFACE -fsanitize=${sanitizers})
  # The vptr check opens a pipe to look at an object's type safely; without a free descriptor it reports every object.
  target_compile_options(headgate_flags INTERFACE -fno-sanitize=vptr)
else()
  target_compile_options(headgate_flags INTERFACE
                         -U_FORTIFY_SOURCE $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()
# g++ warns of members "maybe uninitialized" in correct code once a sanitizer's checks stand between the lines.
if(sanitizers AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(headgate_flags INTERFACE -Wno-maybe-uninitialized)
endif()
